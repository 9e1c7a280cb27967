"""The picture codec: a coded transform of pixels, of any size."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kodec.codecs.coded_transform import CodedLatents, CodedTransform, Latents
from kodec.entropy import Conditions, RateMeter, SymbolPort
from kodec.models.blocks import replicated
from kodec.native import InvalidInputError


@dataclass(frozen=True)
class Reconstruction:
    """x_hat: pixels (N, 3, H, W), around [0, 1]. y_hat: latents as the decoder sees them."""

    x_hat: Tensor
    y_hat: Tensor


class PictureCodec(CodedTransform):
    """A `CodedTransform` of pictures (N, 3, H, W) in [0, 1], which are padded to its stride.

    Its parts: see there.
    """

    def pad(self, x: Tensor) -> Tensor:
        """Replicate the right and bottom edges up to a multiple of the stride."""
        return replicated(x, self.stride)

    def conditions(
        self,
        size: tuple[int, int, int],
        quality: Tensor | None,
        hints: Mapping[str, Tensor] | None = None,
    ) -> Conditions:
        """What coding pictures of that size (N, H, W) may depend on; arguments: see `code`."""
        padded = {}
        for name, labels in (hints or {}).items():
            if not self.training or labels.shape != size:
                raise InvalidInputError(
                    f"{name} are for training, one label for each pixel: leave them away in coding"
                )
            # Replication is for floats, which are exact up to 2^53.
            padded[name] = self.pad(labels[:, None].double())[:, 0].long()
        return Conditions(self.latent_shape(*size), quality, hints=padded)

    def code(
        self,
        x: Tensor | None,
        size: tuple[int, int, int],
        quality: Tensor | None,
        port: SymbolPort,
        hints: Mapping[str, Tensor] | None = None,
    ) -> Reconstruction:
        """Pass pictures through the port.

        x: (N, 3, H, W) in [0, 1], or None on the reading side. size: (N, H, W). quality: (N,) in
        [0, 63], or None. hints: labels (N, H, W) of the pixels, integers, by name, which parts use
        in training ("regions": those that adapt to regions); no decoder knows them, so that outside
        of it they raise `InvalidInputError`. Returns pixels of the same size.
        """
        coded = self.code_picture(x, size, quality, port, hints)
        return Reconstruction(self.reconstruct(coded, size, quality), coded.y_hat)

    def code_picture(
        self,
        x: Tensor | None,
        size: tuple[int, int, int],
        quality: Tensor | None,
        port: SymbolPort,
        hints: Mapping[str, Tensor] | None = None,
        refined: Latents | None = None,
    ) -> CodedLatents:
        """The part of `code` that passes the port: latents as the decoder sees them.

        refined: latents and hyper-latents to code in place of the analysis' own.
        """
        cond = self.conditions(size, quality, hints)
        latents = None if x is None else self.analyse(self.pad(x), cond, port)
        if latents is not None and refined is not None:
            latents = replace(latents, y=refined.y, z=refined.z)
        return self.code_latents(latents, cond, port)

    def reconstruct(
        self, coded: CodedLatents, size: tuple[int, int, int], quality: Tensor | None
    ) -> Tensor:
        """The part of `code` behind the port: pixels (N, 3, H, W), around [0, 1]."""
        _, height, width = size
        return self.synthesise(coded, quality)[..., :height, :width]

    @property
    def calibrates(self) -> bool:
        """Whether the latent model starts from a batch's statistics."""
        return hasattr(self.latents, "calibrate")

    @torch.no_grad()
    def calibrate(self, x: Tensor, quality: Tensor | None) -> None:
        """Before training: let the latent model start from one batch's statistics, if it can."""
        if not self.calibrates:
            return
        n, _, h, w = x.shape
        cond = self.conditions((n, h, w), quality)
        y = self.analyse(self.pad(x), cond, RateMeter(training=False)).y
        self.latents.calibrate(y, quality)  # type: ignore[operator]

    def symbols_per_item(self, height: int, width: int) -> range:
        """How many symbols the stream of one picture may hold; mostly a single number."""
        return self.symbols(self.latent_shape(1, height, width))
