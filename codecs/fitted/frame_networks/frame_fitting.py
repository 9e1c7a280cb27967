"""The fitting of a frame network to the frames of one video."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from kodec.codecs.fitted.fitting import Figures, Fitting
from kodec.codecs.fitted.schedule import Moment
from kodec.codecs.objective import DISTORTIONS, SMALLEST_FOR_MS_SSIM, check_distortion
from kodec.native import InvalidInputError

from .adan import Adan
from .frame_coding import EMBEDDING

OPTIMISERS = ("adam", "adan")
OF_MS_SSIM = ("ms-ssim", "l1-ms-ssim", "frequency")
Clock = Literal["begins", "ends", "counts"]
# The frames that are computed at once where no gradients are asked for.
AT_ONCE = 4

# A phase's knob: above 0, parameters are used as they will be decoded, gradients pass unchanged.
ROUNDED = "rounded"


class Coding(Protocol):
    """How parameters are coded."""

    def __call__(self, parameters: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], float]:
        """Parameters by name -> as a decoder will have them, and the bits that they take."""

    def rounded(self, name: str, value: Tensor) -> Tensor:
        """One as it will be decoded; gradients pass unchanged."""


@dataclass(frozen=True)
class FrameRecipe:
    """How frame networks are fitted, beside phases.

    distortion: its name, see `DISTORTIONS`. batch: frames a step; what is left of an epoch is
    dropped. optimiser: "adam" or "adan". clock: what a network gets for frame i of N: "begins"
    i / N, "ends" (i + 1) / N (Boosting-NeRV), "counts" i. halves: whether the network runs in
    bfloat16 in steps; measurements are in float32. Raises `InvalidInputError`.
    """

    distortion: str = "mse"
    batch: int = 2
    optimiser: str = "adam"
    clock: Clock = "begins"
    halves: bool = False

    def __post_init__(self) -> None:
        check_distortion(self.distortion)
        if self.batch < 1:
            raise InvalidInputError(f"a batch has 1 frame or more, not {self.batch}")
        if self.optimiser not in OPTIMISERS:
            raise InvalidInputError(f"optimisers are {OPTIMISERS}, not {self.optimiser!r}")

    def for_frames(self, height: int, width: int) -> Self:
        """The same, with SSIM in place of MS-SSIM where frames are too small for it."""
        if min(height, width) >= SMALLEST_FOR_MS_SSIM or self.distortion not in OF_MS_SSIM:
            return self
        return replace(self, distortion="l1-ssim")

    def times(self, numbers: Tensor, frames: int) -> Tensor:
        """What the network gets for frames by number, of so many."""
        if self.clock == "counts":
            return numbers
        return (numbers + int(self.clock == "ends")) / frames

    def steps(self, frames: int, epochs: int) -> int:
        """Of so many epochs."""
        return epochs * max(1, frames // self.batch)


class FrameFitting(Fitting):
    """A `Fitting` of a network to frames (T, 3, H, W), whole numbers up to `peak`.

    network: times (N,) and embeddings or None -> frames (N, 3, H', W') in [0, 1]; frames are padded
    by repetition to `padded`, H' and W', and measured without. encoder: frames to
    embeddings, which is fitted with it and not sent. coding: what is measured is what it leaves of
    the parameters. seed: of the order of frames. The loss is the mean squared error x 255^2, at the
    rate that the coding gives. identity: see `Fitting`.
    """

    def __init__(
        self,
        network: nn.Module,
        frames: Tensor,
        coding: Coding,
        recipe: FrameRecipe,
        encoder: nn.Module | None = None,
        padded: tuple[int, int] | None = None,
        identity: Mapping[str, str] | None = None,
        seed: int = 0,
        peak: int = 255,
    ) -> None:
        self.network, self.encoder = network, encoder
        self.frames, self.coding, self.recipe, self.seed = frames, coding, recipe, seed
        self.peak = peak
        height, width = frames.shape[-2:]
        down, across = padded or (height, width)
        self._padding = (0, across - width, 0, down - height)
        parts = {"network": network} | ({} if encoder is None else {"encoder": encoder})
        self.values = {
            f"{part}.{name}": value
            for part, module in parts.items()
            for name, value in module.named_parameters()
        }
        self.identity = {
            **(identity or {}),
            "frames": hashlib.sha256(frames.cpu().numpy().tobytes()).hexdigest()[:16],
            "recipe": repr(recipe),
            "seed": str(seed),
        }

    def optimiser(self) -> torch.optim.Optimizer:
        """The recipe's."""
        kind = Adan if self.recipe.optimiser == "adan" else torch.optim.Adam
        return kind(self.values.values(), lr=1.0)

    def descend(self, moment: Moment) -> None:
        """Of the step's batch of frames."""
        chosen = self.batch_at(moment.step)
        x = self._pixels(chosen)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.halves):
            out = self._shown(chosen, x, rounded=moment.knob(ROUNDED, 0.0) > 0)
        DISTORTIONS[self.recipe.distortion](x, out.float()).mean().backward()

    def _shown(self, chosen: Tensor, x: Tensor, rounded: bool) -> Tensor:
        own: dict[str, Tensor] = dict(self.network.named_parameters())
        embedded = {} if self.encoder is None else {EMBEDDING: self.encoder(x)}
        if rounded:
            own = {name: self.coding.rounded(name, value) for name, value in own.items()}
            embedded = {n: self.coding.rounded(n, value) for n, value in embedded.items()}
        inputs = (self.recipe.times(chosen, len(self.frames)), *embedded.values())
        out: Tensor = functional_call(self.network, own, inputs)
        return out

    def measure(self) -> Figures:
        """Of the parameters as they are coded, and all frames."""
        with torch.no_grad():
            decoded, bits = self.coding(self.sent())
            errors = [
                self._errors(decoded, part)
                for part in torch.arange(len(self.frames)).split(AT_ONCE)
            ]
        error = torch.cat(errors)
        psnr = float((-10 * error.clamp(min=1e-10).log10()).mean())
        _, _, height, width = self.frames.shape
        bpp = bits / (len(self.frames) * height * width)
        loss = float(error.mean()) * 255**2
        return Figures(loss if math.isfinite(psnr) else math.nan, bpp, psnr)

    @torch.no_grad()
    def sent(self) -> dict[str, Tensor]:
        """The parameters that a decoder needs, by name: the network's, and frames' embeddings."""
        found = {name: value.detach() for name, value in self.network.named_parameters()}
        if self.encoder is not None:
            parts = torch.arange(len(self.frames)).split(AT_ONCE)
            found[EMBEDDING] = torch.cat([self.encoder(self._pixels(part)) for part in parts])
        return found

    def batch_at(self, step: int) -> Tensor:
        """The numbers of the frames of a step; an epoch has each once, in an order of its own."""
        batch = min(self.recipe.batch, len(self.frames))
        epoch, place = divmod(step, len(self.frames) // batch)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.frames), generator=generator)
        return order[place * batch : (place + 1) * batch]

    def _pixels(self, numbers: Tensor) -> Tensor:
        x = self.frames[numbers].float() / self.peak
        return functional.pad(x, self._padding, mode="replicate")

    def _errors(self, parameters: Mapping[str, Tensor], numbers: Tensor) -> Tensor:
        height, width = self.frames.shape[-2:]
        difference = self._pixels(numbers) - self._rendered(parameters, numbers)
        return difference[..., :height, :width].square().mean((1, 2, 3))

    def _rendered(self, parameters: Mapping[str, Tensor], numbers: Tensor) -> Tensor:
        own = {name: value for name, value in parameters.items() if name != EMBEDDING}
        embedding = parameters.get(EMBEDDING)
        times = self.recipe.times(numbers, len(self.frames))
        chosen = None if embedding is None else embedding[numbers]
        inputs = (times,) if chosen is None else (times, chosen)
        out: Tensor = functional_call(self.network, own, inputs)
        return out
