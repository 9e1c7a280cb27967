"""What every loaded model has, of pictures or of sequences: a name, settings, its qualities."""

from typing import Generic, TypeVar

import numpy as np
import torch

from kodec.native import BitstreamError, InvalidInputError, UnsupportedError

from .coding_model import CodingModel
from .container import PictureHeader, SequenceHeader
from .machine import check_machine, machine_fingerprint
from .model_file import ModelInfo
from .objective import HIGHEST_QUALITY

DEFAULT_QUALITY = 32

Network = TypeVar("Network", bound=CodingModel)


class LoadedModel(Generic[Network]):
    """A network ready to code, on one device, and what its file says of it."""

    def __init__(self, network: Network, info: ModelInfo, device: str = "cpu") -> None:
        self.network: Network = network.to(device)
        self.info = info
        self.device = device

    @property
    def name(self) -> str:
        """The model's name."""
        return self.info.name

    @property
    def variable_rate(self) -> bool:
        """Whether it takes a quality."""
        return self.network.variable_rate

    @property
    def settings(self) -> dict[str, str | int | bool]:
        """What files and reconstructions depend on besides what is coded and its quality."""
        return {
            "model id": self.info.model_id.hex(),
            "portability": str(self.network.portability),
            "device": self.device,
        }

    def check_quality(self, quality: int | None) -> int | None:
        """The quality to use; raises `InvalidInputError` where the model can't have it."""
        if not self.variable_rate:
            if quality is not None:
                raise InvalidInputError(
                    f"the model {self.name} has one fixed rate: leave the quality out"
                )
            return None
        quality = DEFAULT_QUALITY if quality is None else quality
        if isinstance(quality, bool) or not isinstance(quality, int | np.integer):
            raise InvalidInputError(f"quality is a whole number, 0 to 63, not {quality!r}")
        if not 0 <= quality <= HIGHEST_QUALITY:
            raise InvalidInputError(f"quality goes from 0 to {HIGHEST_QUALITY}, not {quality}")
        return int(quality)

    def check_header(self, header: PictureHeader | SequenceHeader) -> None:
        """Refuse a file that this model did not write: `UnsupportedError`, or `BitstreamError`."""
        if header.model_id != self.info.model_id:
            raise UnsupportedError(
                f"this file was written with the model {header.model_id.hex()}, not with "
                f"{self.name} ({self.info.model_id.hex()}): name the right one"
            )
        if header.portability != self.network.portability:
            raise BitstreamError("the file's header does not fit its model: a damaged file")
        if header.portability == "local":
            check_machine(header.machine.decode("ascii", "replace"), self.device)
        if (header.quality is not None) != self.variable_rate:
            raise BitstreamError("the file's quality does not fit its model: a damaged file")

    def machine(self) -> bytes:
        """What a file says of the machine that it decodes on."""
        if self.network.portability != "local":
            return b""
        return machine_fingerprint(self.device).encode("ascii")

    def condition(self, quality: int | None) -> torch.Tensor | None:
        """A quality as the network takes it, (1,)."""
        return None if quality is None else torch.tensor([float(quality)], device=self.device)


def check_device(device: str) -> None:
    """Raise `InvalidInputError` for a CUDA device that is not there."""
    if not device.startswith("cuda"):
        return
    if not torch.cuda.is_available():
        raise InvalidInputError("no CUDA device is available: use --device cpu")
    count = torch.cuda.device_count()
    number = device.partition(":")[2]
    if number and int(number) >= count:
        raise InvalidInputError(f"there is no {device}: the last is cuda:{count - 1}")
