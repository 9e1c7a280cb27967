"""The picture codec: analysis, gain, latent model, synthesis, written once for every port."""

from dataclasses import dataclass
from typing import Protocol, Self, cast, get_args

import torch
from torch import Tensor, nn

from kodec.entropy import Conditions, GainUnit, RateMeter, SymbolPort
from kodec.native import InvalidInputError

from .picture_header import Portability
from .strips import run_in_strips

_HALVES = (torch.bfloat16, torch.float16)


class LatentCoder(Protocol):
    """What passes latents through a port.

    channels: of what it is given. encoder_only_modules, encoder_only_arguments: names of its parts
    and of its init arguments that decoding does not depend on.
    """

    channels: int
    encoder_only_modules: tuple[str, ...]
    encoder_only_arguments: tuple[str, ...]

    def symbols(self, h: int, w: int) -> int | range:
        """Symbols that one item of h x w latent positions puts through the port.

        A range where their number follows from more than the size: of payloads.
        """

    def build_tables(self) -> None:
        """Build the coder tables from the present weights."""


class LatentModel(LatentCoder, Protocol):
    """What a picture codec needs of a latent model: one order, through a port."""

    def code(self, y: Tensor | None, cond: Conditions, port: SymbolPort) -> Tensor:
        """Pass latents (N, C, h, w) through the port; return what the decoder sees."""


class SideLatents(LatentCoder, Protocol):
    """What a picture codec needs of the side latents that a transform sends in mid-analysis."""

    def code(self, features: Tensor | None, cond: Conditions, port: SymbolPort) -> Tensor:
        """Pass the analysis' features through the port; return what both transforms adapt to."""


@dataclass(frozen=True)
class CodedLatents:
    """What passed the port, as the decoder sees it.

    y_hat: latents (N, C, h, w). side: what the transforms' side latents came to, or None.
    """

    y_hat: Tensor
    side: Tensor | None = None


@dataclass(frozen=True)
class Reconstruction:
    """x_hat: pixels (N, 3, H, W), around [0, 1]. y_hat: latents as the decoder sees them."""

    x_hat: Tensor
    y_hat: Tensor


class PictureCodec(nn.Module):
    """A transform and a latent model put together.

    Under mixed precision the transforms alone are autocast. Latent model, side latents and gains
    run in the precision of their weights: whatever comes out of them is a mean, a scale or a
    likelihood. None of them has to say so.

    analysis: (N, 3, H, W) in [0, 1], quality (N,) -> (N, C, H/stride, W/stride); has `stride`.
    synthesis: the way back. Either may have `reach`, how many latent rows away an output row still
    depends on an input row: large pictures are then transformed in strips. latents: a
    `LatentModel`. gain: a `GainUnit`, for variable rate; None for a fixed-rate model. portability:
    "guarded" runs the entropy path in float64 and signals close calls, "local" runs it in float32
    and is decodable on the same kind of machine only.

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
        super().__init__()
        if portability not in get_args(Portability):
            raise InvalidInputError(
                f"portability is one of {get_args(Portability)}, not {portability!r}"
            )
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
        self.analysis = analysis
        self.latents = latents
        self.synthesis = synthesis
        self.gain = gain
        self.side = side
        self.portability: Portability = portability

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
        """Pixels per latent position, each way."""
        return int(self.analysis.stride)  # type: ignore[arg-type]

    @property
    def variable_rate(self) -> bool:
        """Whether the codec takes a quality."""
        return self.gain is not None

    def pad(self, x: Tensor) -> Tensor:
        """Replicate the right and bottom edges up to a multiple of the stride."""
        h, w = x.shape[-2:]
        return nn.functional.pad(x, (0, -w % self.stride, 0, -h % self.stride), mode="replicate")

    def code(
        self,
        x: Tensor | None,
        size: tuple[int, int, int],
        quality: Tensor | None,
        port: SymbolPort,
        regions: Tensor | None = None,
    ) -> Reconstruction:
        """Pass pictures through the port.

        x: (N, 3, H, W) in [0, 1], or None on the reading side. size: (N, H, W). quality: (N,) in
        [0, 63], or None. regions: labels (N, H, W) of the pixels, integers, which parts that adapt
        to regions use in training; no decoder knows them, so that outside of it they raise
        `InvalidInputError`. Returns pixels of the same size.
        """
        coded = self.code_latents(x, size, quality, port, regions)
        return Reconstruction(self.reconstruct(coded, size, quality), coded.y_hat)

    def code_latents(
        self,
        x: Tensor | None,
        size: tuple[int, int, int],
        quality: Tensor | None,
        port: SymbolPort,
        regions: Tensor | None = None,
    ) -> CodedLatents:
        """The part of `code` that passes the port: latents as the decoder sees them."""
        n, height, width = size
        rows, columns = -(-height // self.stride), -(-width // self.stride)
        shape = torch.Size((n, self.latent_model.channels, rows, columns))
        if regions is not None:
            if not self.training or regions.shape != size:
                raise InvalidInputError(
                    "regions are for training, one label for each pixel: leave them away in coding"
                )
            # Replication is for floats, which are exact up to 2^53.
            regions = self.pad(regions[:, None].double())[:, 0].long()
        cond = Conditions(shape, quality, regions)
        y, side = self._analyse(x, cond, port)
        if y is not None:
            if y.shape != shape:
                raise InvalidInputError(
                    f"the analysis gives latents of shape {tuple(y.shape)}, where the latent model "
                    f"takes {tuple(shape)}: give both the same channels"
                )
            y = self._gained(y, quality)
        return CodedLatents(self._pass(self.latent_model, y, cond, port), side)

    def _pass(
        self, coder: LatentModel | SideLatents, y: Tensor | None, cond: Conditions, port: SymbolPort
    ) -> Tensor:
        """Pass latents or features through the port, in the precision of the coder's weights."""
        if y is not None and y.dtype in _HALVES:
            y = y.float()
        with self._uncast():
            return coder.code(y, cond, port)

    def _uncast(self) -> torch.autocast:
        """A context without autocasting."""
        weight = next(self.parameters(), torch.empty(0))
        return torch.autocast(weight.device.type, enabled=False)

    def _gained(self, y: Tensor, quality: Tensor | None) -> Tensor:
        """Latents in quantisation steps."""
        if self.gain is None or quality is None:
            return y
        with self._uncast():
            return self.gain.apply_gain(y.float(), quality)

    def _analyse(
        self, x: Tensor | None, cond: Conditions, port: SymbolPort
    ) -> tuple[Tensor | None, Tensor | None]:
        """Latents before the gain, and what the decoder has of side latents, where there are any.

        Side latents pass the port on the way.
        """
        coder = self.side_latents
        if coder is None:
            if x is None:
                return None, None
            return self._strip_by_strip(
                self.analysis, self.pad(x), cond.quality, self.stride, 1
            ), None
        if x is None:
            return None, self._pass(coder, None, cond, port).float()
        sent: list[Tensor] = []

        def send(features: Tensor) -> Tensor:
            sent.append(self._pass(coder, features, cond, port).float())
            return sent[-1]

        y = self.analysis(self.pad(x), cond.quality, send)
        return y, sent[-1]

    def reconstruct(
        self, coded: CodedLatents, size: tuple[int, int, int], quality: Tensor | None
    ) -> Tensor:
        """The part of `code` behind the port: pixels (N, 3, H, W), around [0, 1]."""
        _, height, width = size
        y_hat = coded.y_hat.float()
        if self.gain is not None and quality is not None:
            with self._uncast():
                y_hat = self.gain.remove_gain(y_hat, quality)
        if coded.side is None:
            x_hat = self._strip_by_strip(self.synthesis, y_hat, quality, 1, self.stride)
        else:
            x_hat = self.synthesis(y_hat, quality, coded.side)
        return x_hat[..., :height, :width]

    def _strip_by_strip(
        self, transform: nn.Module, x: Tensor, quality: Tensor | None, unit_in: int, unit_out: int
    ) -> Tensor:
        """Run a transform, over strips where it says how far it reaches."""
        reach = getattr(transform, "reach", None)
        if reach is None:
            whole: Tensor = transform(x, quality)
            return whole
        return run_in_strips(lambda part: transform(part, quality), x, reach, unit_in, unit_out)

    @property
    def calibrates(self) -> bool:
        """Whether the latent model starts from a batch's statistics."""
        return hasattr(self.latents, "calibrate")

    @torch.no_grad()
    def calibrate(self, x: Tensor, quality: Tensor | None) -> None:
        """Before training: let the latent model start from one batch's statistics, if it can."""
        if not self.calibrates:
            return
        n, _, h, w = self.pad(x).shape
        shape = torch.Size((n, self.latent_model.channels, h // self.stride, w // self.stride))
        y, _ = self._analyse(x, Conditions(shape, quality), RateMeter(training=False))
        assert y is not None
        self.latents.calibrate(self._gained(y, quality), quality)  # type: ignore[operator]

    def prepare(self) -> Self:
        """Evaluation mode, with the entropy path in the precision of its portability class."""
        self.eval()
        if self.portability != "local":
            for _, module, coder in self._coders():
                module.double()
                # What the decoder never computes can stay in the faster precision.
                for name in coder.encoder_only_modules:
                    module.get_submodule(name).float()
        return self

    def _coders(self) -> list[tuple[str, nn.Module, LatentCoder]]:
        """The parts that pass the port: attribute, module, and the same typed."""
        coders: list[tuple[str, nn.Module, LatentCoder]] = [
            ("latents", self.latents, self.latent_model)
        ]
        if self.side is not None and self.side_latents is not None:
            coders.append(("side", self.side, self.side_latents))
        return coders

    def encoder_only_arguments(self) -> dict[str, tuple[str, ...]]:
        """By part of the config, the init arguments that decoding does not depend on."""
        return {part: coder.encoder_only_arguments for part, _, coder in self._coders()}

    def decoder_state(self) -> dict[str, Tensor]:
        """The weights that decoding depends on, by name."""
        own = [f"{part}.{m}." for part, _, c in self._coders() for m in c.encoder_only_modules]
        prefixes = ("analysis.", *own)
        return {k: v for k, v in self.state_dict().items() if not k.startswith(prefixes)}

    def symbols_per_item(self, height: int, width: int) -> range:
        """How many symbols the stream of one picture may hold; mostly a single number."""
        rows, columns = -(-height // self.stride), -(-width // self.stride)
        counts = [coder.symbols(rows, columns) for _, _, coder in self._coders()]
        least = sum(n if isinstance(n, int) else n[0] for n in counts)
        most = sum(n if isinstance(n, int) else n[-1] for n in counts)
        return range(least, most + 1)

    def deploy(self) -> Self:
        """Build the coder tables from the present weights, then `prepare`."""
        for _, _, coder in self._coders():
            coder.build_tables()
        return self.prepare()
