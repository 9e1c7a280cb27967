"""Weights that all files of a family share: packaged, or a model file that the caller names."""

from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from kodec.codecs.coding_model import CodingModel
from kodec.codecs.fitted.fitted_model import Cost, FittedModel, FittedSize
from kodec.codecs.model_file import load_model
from kodec.native import InvalidInputError, UnsupportedError

FOLDER = Path(__file__).parent / "weights"

Weights = TypeVar("Weights", bound=CodingModel)


def shared_weights(
    kind: type[Weights], name: str, model: str | Path | None = None
) -> tuple[Weights, bytes]:
    """The weights and their id: of a model file, or the packaged ones of the family `name`.

    Raises `InvalidInputError` where the file is of something else, and as `load_model` does.
    """
    path = FOLDER / f"{name}.safetensors" if model is None else Path(model)
    network, info = load_model(path)
    if not isinstance(network, kind):
        raise InvalidInputError(
            f"{path} is a model of {type(network).__name__}, not of {kind.__name__}: name the "
            f"weights of {name}"
        )
    return network, info.model_id


def check_shared(name: str, own: bytes, wanted: bytes | None) -> None:
    """Raise `UnsupportedError` where a file was written with other weights."""
    if wanted != own:
        other = "none" if wanted is None else wanted.hex()
        raise UnsupportedError(
            f"the file was written with the {name} weights {other}, not with {own.hex()}: name "
            "their model file with --model"
        )


class SharedWeightsModel(FittedModel, Generic[Weights]):
    """A family whose files hold what is a picture's own, beside weights that all of them share.

    shared: what the weights are; by default the packaged ones are taken.
    """

    shared: ClassVar[type[Any]]
    weights: Weights

    def __init__(
        self,
        architecture: tuple[int, ...],
        size: FittedSize,
        weights: tuple[Weights, bytes] | None = None,
    ) -> None:
        super().__init__(architecture, size)
        self.weights, self.model_id = weights or self._weights_of(None)

    @classmethod
    def build_for(
        cls,
        architecture: tuple[int, ...],
        size: FittedSize,
        model_id: bytes | None,
        model: str | Path | None = None,
    ) -> Self:
        """See `FittedModel`; raises `BitstreamError` where the head is not of the weights."""
        cls.cost_of(architecture, size)
        weights = cls._weights_of(model)
        check_shared(cls.family.name, weights[1], model_id)
        built = cls(architecture, size, weights)
        built.check_weights()
        return built

    @classmethod
    def _weights_of(cls, model: str | Path | None) -> tuple[Weights, bytes]:
        return shared_weights(cls.shared, cls.family.name, model)

    @abstractmethod
    def check_weights(self) -> None:
        """Raise `BitstreamError` where the architecture does not follow from the weights."""

    @abstractmethod
    def patch_macs(self) -> tuple[int, int]:
        """Multiplications of rendering a patch, and how many patches there are."""

    def cost(self) -> Cost:
        """With the parameters that its weights have, and what rendering multiplies."""
        parameters = sum(value.numel() for value in self.weights.parameters())
        each, patches = self.patch_macs()
        macs = -(-each * patches // (self.size.width * self.size.height))
        return replace(super().cost(), parameters=parameters, macs_per_pixel=macs)
