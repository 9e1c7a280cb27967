"""A transform and a latent model put together: analysis, gain, latents, synthesis, for every port.

No pixels and no padding here: what is transformed may be a picture, a frame, motion or a residual.
"""

from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from kodec.entropy import (
    HOST,
    Coders,
    Conditions,
    GainUnit,
    SymbolPort,
    as_role,
    coders_of,
    encoder_only,
)
from kodec.models.blocks import WHOLE, Rim
from kodec.native import InvalidInputError

from .coding_model import CodingModel
from .container import Portability
from .strips import run_in_strips

_HALVES = (torch.bfloat16, torch.float16)


class LatentCoder(Protocol):
    """What passes latents through a port.

    channels: of what it is given. May have `encoder_only_arguments`: names of its init arguments
    that decoding does not depend on; `exact`: true where no floating-point number decides a
    table index, so that every machine reads what any wrote; and `host_coded`: true where it passes
    more than blocks and side integers, for which devices have no coder.
    """

    channels: int

    def symbols(self, h: int, w: int) -> int | range:
        """Symbols that one item of h x w latent positions puts through the port.

        A range where their number follows from more than the size: of payloads.
        """


class LatentModel(LatentCoder, Protocol):
    """What a picture codec needs of a latent model: one order, through a port."""

    def hyper_latents(self, y: Tensor, cond: Conditions) -> Tensor | None:
        """The hyper-latents that `code` makes of `y` where it is given none; None: it has none,
        or they depend on what was coded before them.
        """

    def code(
        self, y: Tensor | None, cond: Conditions, port: SymbolPort, z: Tensor | None = None
    ) -> Tensor:
        """Pass latents (N, C, h, w) through the port; return what the decoder sees.

        z: hyper-latents to code in place of what the hyper-analysis makes of y, at the encoder.
        Raises `InvalidInputError` where the model has none.
        """


class SideLatents(LatentCoder, Protocol):
    """What a picture codec needs of the side latents that a transform sends in mid-analysis."""

    def code(self, features: Tensor | None, cond: Conditions, port: SymbolPort) -> Tensor:
        """Pass the analysis' features through the port; return what both transforms adapt to."""


@dataclass(frozen=True)
class Latents:
    """What an encoder is to code, and may refine before.

    y: latents (N, C, h, w) in quantisation steps. z: hyper-latents, or None: the latent model's
    analysis makes them of y. side: what side latents came to that were sent already, or None.
    """

    y: Tensor
    z: Tensor | None = None
    side: Tensor | None = None


@dataclass(frozen=True)
class CodedLatents:
    """What passed the port, as the decoder sees it.

    y_hat: latents (N, C, h, w). side: what the transforms' side latents came to, or None.
    """

    y_hat: Tensor
    side: Tensor | None = None


class CodedTransform(CodingModel):
    """A transform and a latent model put together.

    Under mixed precision the transforms alone are autocast. Latent model, side latents and gains
    run in the precision of their weights: whatever comes out of them is a mean, a scale or a
    likelihood. None of them has to say so.

    analysis: x (N, channels, H, W), quality (N,) -> (N, C, H/stride, W/stride); has `stride`.
    synthesis: the way back. Either may have `reach`, how many latent rows away an output row still
    depends on an input row: large inputs are then transformed in strips. With `cuts_rims` it takes
    a `Rim` of its input as a third argument, and does no more with the rim than what is within
    depends on. latents: a `LatentModel`.
    gain: a `GainUnit`, for variable rate; None for a fixed-rate model. portability: see
    `CodingModel`.

    side: `SideLatents`, for transforms that have `side_channels`. Such an analysis is called as
    analysis(x, quality, send), where send(features) passes features through the port and returns
    what the decoder has of them; such a synthesis as synthesis(y, quality, that).
    """

    def __init__(
        self,
        analysis: nn.Module,
        latents: nn.Module,
        synthesis: nn.Module,
        gain: GainUnit | None = None,
        portability: Portability = "guarded",
        side: nn.Module | None = None,
    ) -> None:
        super().__init__(portability)
        _check_parts(analysis, latents, synthesis, gain, side)
        if gain is not None and gain.channels != latents.channels:
            raise InvalidInputError(
                f"the gain unit is for {gain.channels} channels, the latent model for "
                f"{latents.channels}: give both the same"
            )
        given = None if side is None else side.channels
        for transform in (analysis, synthesis):
            wanted = getattr(transform, "side_channels", None)
            if wanted != given:
                raise InvalidInputError(
                    f"{type(transform).__name__} takes side latents of {wanted} channels, the "
                    f"codec has {given}: give both the same, or neither"
                )
        self.analysis = encoder_only(analysis)
        self.latents = as_role("shared", latents)
        # Nothing that both sides must decide alike comes after these.
        self.synthesis = as_role("decoder", synthesis)
        self.gain = None if gain is None else as_role("decoder", gain)
        self.side = None if side is None else as_role("shared", side)
        self.check_exact()

    @property
    def latent_model(self) -> LatentModel:
        """The latent model, typed."""
        return cast(LatentModel, self.latents)

    @property
    def side_latents(self) -> SideLatents | None:
        """The side latents, typed."""
        return cast(SideLatents | None, self.side)

    @property
    def stride(self) -> int:
        """Positions of x per latent position, each way."""
        return int(self.analysis.stride)  # type: ignore[arg-type]

    @property
    def variable_rate(self) -> bool:
        """Whether it takes a quality."""
        return self.gain is not None

    def latent_shape(self, n: int, height: int, width: int) -> torch.Size:
        """Shape of the latents of `n` inputs of height x width, which may still need padding."""
        rows, columns = -(-height // self.stride), -(-width // self.stride)
        return torch.Size((n, self.latent_model.channels, rows, columns))

    def analyse(
        self, x: Tensor, cond: Conditions, port: SymbolPort | None = None, rim: Rim = WHOLE
    ) -> Latents:
        """What `code_latents` is to code of x, whose sides are multiples of the stride.

        port: where the transform has side latents, which pass it on the way. rim: of x, of whole
        latents; those within are given. Raises `InvalidInputError` where the latents are not those
        that the conditions say.
        """
        coder = self.side_latents
        side = None
        if coder is None:
            y = self._transformed(self.analysis, x, cond.quality, rim, self.stride, self.stride)
        else:
            sent: list[Tensor] = []

            def send(features: Tensor) -> Tensor:
                assert coder is not None and port is not None
                sent.append(self._pass(coder, features, cond, port).float())
                return sent[-1]

            y = self.analysis(x, cond.quality, send)
            side = sent[-1]
        if y.shape != cond.latent_shape:
            raise InvalidInputError(
                f"the analysis gives latents of shape {tuple(y.shape)}, where the latent model "
                f"takes {tuple(cond.latent_shape)}: give both the same channels"
            )
        if self.gain is not None and cond.quality is not None:
            with self.uncast():
                y = self.gain.apply_gain(y.float(), cond.quality)
        return Latents(y, side=side)

    def code_latents(
        self, latents: Latents | None, cond: Conditions, port: SymbolPort
    ) -> CodedLatents:
        """Pass latents through the port, None on the reading side; what the decoder sees."""
        coder = self.side_latents
        if latents is None:
            side = None if coder is None else self._pass(coder, None, cond, port).float()
            return CodedLatents(self._pass(self.latent_model, None, cond, port), side)
        y_hat = self._pass(self.latent_model, latents.y, cond, port, latents.z)
        return CodedLatents(y_hat, latents.side)

    @property
    def precision(self) -> torch.dtype:
        """What the synthesis computes in: float64 where it is shared and not of class local."""
        return next((p.dtype for p in self.synthesis.parameters()), torch.float32)

    def without_gain(self, coded: CodedLatents, quality: Tensor | None) -> Tensor:
        """The latents (N, C, h, w) as the synthesis sees them, in its precision."""
        y_hat = coded.y_hat.to(self.precision)
        if self.gain is not None and quality is not None:
            with self.uncast():
                y_hat = self.gain.remove_gain(y_hat, quality)
        return y_hat

    def synthesise(
        self,
        coded: CodedLatents,
        quality: Tensor | None,
        beside: Tensor | None = None,
        rim: Rim = WHOLE,
    ) -> Tensor:
        """What is behind the port: (N, channels, H, W), sides multiples of the stride.

        beside: (N, C', h, w), for a synthesis of more channels than the latents: its last ones.
        rim: of the latents, as in `analyse`; what is within is given.
        """
        y_hat = self.without_gain(coded, quality)
        if beside is not None:
            y_hat = torch.cat([y_hat, beside], dim=1)
        if coded.side is None:
            return self._transformed(self.synthesis, y_hat, quality, rim, 1, 1)
        x_hat: Tensor = self.synthesis(y_hat, quality, coded.side)
        return x_hat

    def symbols(self, shape: torch.Size) -> range:
        """How many symbols an item's stream may hold, mostly a single number.

        shape: of the latents (N, C, h, w).
        """
        counts = [coder.symbols(*shape[-2:]) for coder in self._coders()]
        least = sum(n if isinstance(n, int) else n[0] for n in counts)
        most = sum(n if isinstance(n, int) else n[-1] for n in counts)
        return range(least, most + 1)

    def coders(self, device: torch.device) -> Coders:
        """Whose coders its ports use where it runs on a device."""
        if any(getattr(part, "host_coded", False) for part in self._coders()):
            return HOST
        return coders_of(device)

    def _coders(self) -> list[LatentCoder]:
        """The parts that pass the port."""
        side = self.side_latents
        return [self.latent_model] if side is None else [self.latent_model, side]

    def _pass(
        self,
        coder: LatentModel | SideLatents,
        y: Tensor | None,
        cond: Conditions,
        port: SymbolPort,
        z: Tensor | None = None,
    ) -> Tensor:
        """Pass latents or features through the port, in the precision of the coder's weights."""
        if y is not None and y.dtype in _HALVES:
            y = y.float()
        with self.uncast():
            if z is None:
                return coder.code(y, cond, port)
            return cast(LatentModel, coder).code(y, cond, port, z)

    def _transformed(
        self,
        transform: nn.Module,
        x: Tensor,
        quality: Tensor | None,
        rim: Rim,
        unit: int,
        scale: int,
    ) -> Tensor:
        """What a transform makes of the part of x within its rim; strip by strip where it says how
        far it reaches and no rim is given.

        unit: positions of x per latent, each way. scale: pixels per position of what is made.
        """
        reach = getattr(transform, "reach", None)

        def within(part: Tensor, rim: Rim) -> Tensor:
            if rim != WHOLE and getattr(transform, "cuts_rims", False):
                found: Tensor = transform(part, quality, rim)
                return found
            return rim.cut(transform(part, quality), 0, scale)[0]

        def strip(part: Tensor, above: int, below: int) -> Tensor:
            return within(part, Rim(top=above * self.stride, bottom=below * self.stride))

        if reach is None or rim != WHOLE:
            return within(x, rim)
        return run_in_strips(strip, x, reach, unit)


def _check_parts(
    analysis: nn.Module,
    latents: nn.Module,
    synthesis: nn.Module,
    gain: nn.Module | None,
    side: nn.Module | None,
) -> None:
    """Refuse, with `InvalidInputError`, a part that is not of the kind that its place wants."""
    for place, module in (("analysis", analysis), ("synthesis", synthesis)):
        if getattr(type(module), "forward", None) in (None, nn.Module.forward):
            raise InvalidInputError(
                f"the {place} is a {type(module).__name__}, which is no transform"
            )
    stride = getattr(analysis, "stride", None)
    if not isinstance(stride, int) or stride < 1:
        raise InvalidInputError(
            f"the analysis is a {type(analysis).__name__}, which says no stride"
        )
    needed = ("code", "symbols", "channels")
    for place, coder in (("latents", latents), ("side", side)):
        if coder is not None and not all(hasattr(coder, name) for name in needed):
            raise InvalidInputError(
                f"the part {place} is a {type(coder).__name__}, which passes nothing through a port"
            )
    if not isinstance(gain, GainUnit | None):
        raise InvalidInputError(f"the gain is a {type(gain).__name__}, not a GainUnit")
