"""VC-INR's files: latents of a picture's patches, under a hyperprior that all pictures share."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from kodec.codecs.fitted.fitted_model import (
    Clip,
    Cost,
    FileFitting,
    FittedModel,
    FittedSize,
    Goal,
    Reconstruction,
)
from kodec.codecs.fitted.fitting import Budget, Figures, Show, nothing_shown
from kodec.codecs.fitted.schedule import Moment, Phase, PhaseKeys, Schedule, read_schedule
from kodec.codecs.fitted_families import VC_INR
from kodec.codecs.pictures.pixels import as_pixels
from kodec.entropy import RateMeter, SymbolPort
from kodec.native import BitstreamError

from .shared_weights import SharedWeightsModel, shared_weights
from .vc_inr import GatedFields

PACKAGED = Path(__file__).with_name("vc_inr.yaml")
PHASES = PhaseKeys(words=frozenset({"refine"}))
# Bits per pixel + so much times the squared error of 8-bit samples: what the codec was trained for.
LAMBDA = 0.005
HYPER_STRIDE = 4
MAX_SIDE = 256
MAX_CHANNELS = 1024
# With room for wider networks than the packaged one's.
PARAMETERS_OF_WEIGHTS = 1 << 20
MACS_PER_PIXEL = 1 << 15
BYTES_PER_PIXEL = 2048


class VcInrPicture(SharedWeightsModel[GatedFields]):
    """Architecture: a patch's side, its latents, hyper-latents of 4 x 4 patches.

    The rate is the weights', so that there is no quality. Gray pictures are the mean of the three
    colours.
    """

    family = VC_INR
    shared = GatedFields
    takes_quality = False

    def __init__(
        self,
        architecture: tuple[int, ...],
        size: FittedSize,
        weights: tuple[GatedFields, bytes] | None = None,
    ) -> None:
        super().__init__(architecture, size, weights)
        self.layout = self.weights.layout(size.height, size.width)

    @classmethod
    def cost_of(cls, architecture: tuple[int, ...], size: FittedSize) -> Cost:
        """See `FittedModel`; as much as any weights may take."""
        bounds = (MAX_SIDE, MAX_CHANNELS, MAX_CHANNELS)
        fits = len(architecture) == len(bounds) and size.frames == 1
        if not fits or not all(1 <= n <= most for n, most in zip(architecture, bounds)):
            raise BitstreamError(
                "a vc-inr picture has a patch's side, its latents and hyper-latents in its head: "
                "the file is damaged"
            )
        side, latents, hyper = architecture
        rows, columns = -(-size.height // side), -(-size.width // side)
        symbols = latents * rows * columns
        symbols += hyper * -(-rows // HYPER_STRIDE) * -(-columns // HYPER_STRIDE)
        peak = BYTES_PER_PIXEL * size.pixels + 8 * (PARAMETERS_OF_WEIGHTS + 4 * symbols)
        return Cost(PARAMETERS_OF_WEIGHTS, MACS_PER_PIXEL, peak, range(symbols, symbols + 1))

    def patch_macs(self) -> tuple[int, int]:
        """See `SharedWeightsModel`."""
        return self.weights.patch_macs, self.layout.patches

    def check_weights(self) -> None:
        """See `SharedWeightsModel`."""
        if self.architecture != architecture_of(self.weights):
            raise BitstreamError("the file has other latents than its weights: it is damaged")

    @property
    def latent_shape(self) -> torch.Size:
        """(1, latents, rows, columns)."""
        return torch.Size((1, self.architecture[1], self.layout.rows, self.layout.columns))

    def code(
        self, parameters: Mapping[str, Any] | None, port: SymbolPort, packet: int = 0
    ) -> Mapping[str, Any]:
        """Pass "y" through the port."""
        given = None if parameters is None else parameters["y"]
        return {"y": self.weights.code(given, self.latent_shape, port)}

    def reconstruct(self, parameters: Mapping[str, Any]) -> Reconstruction:
        """The picture of the coded latents."""

        def render(number: int) -> Tensor:
            x = self.weights.render(parameters["y"], self.layout)[0]
            x = x[:, : self.size.height, : self.size.width]
            return x if self.size.components == 3 else x.mean(0, keepdim=True)

        return Reconstruction(self.size, render)

    @classmethod
    def fitting(cls, clip: Clip, goal: Goal) -> FileFitting:
        """See `FittedModel`."""
        return VcInrFitting(clip)

    @classmethod
    def schedule(cls, goal: Goal, budget: Budget | None) -> Schedule:
        """One for all."""
        return read_schedule("vc-inr", PACKAGED, PHASES)


def architecture_of(weights: GatedFields) -> tuple[int, ...]:
    """The integers in the head of their files."""
    return weights.side, weights.field.latents, weights.latents.hyper_prior.channels


class VcInrFitting(FileFitting):
    """Vectors by a few steps at the rates that were learned, then the latents that are coded."""

    def __init__(self, clip: Clip) -> None:
        weights, model_id = shared_weights(GatedFields, VC_INR.name)
        # The weights themselves have no gradients here.
        self.weights = weights.requires_grad_(False)
        self.model = VcInrPicture(architecture_of(weights), clip.size, (weights, model_id))
        layout = self.model.layout
        self.size = (clip.size.height, clip.size.width)
        self.x = clip.tensor(0)[None].expand(-1, 3, -1, -1).contiguous()
        right = layout.columns * layout.side - self.size[1]
        below = layout.rows * layout.side - self.size[0]
        self._whole = functional.pad(self.x, (0, right, 0, below), mode="replicate")
        self._targets = layout.split(self._whole).flatten(0, 1)
        vectors = torch.zeros(layout.patches, self.weights.field.latents)
        self.values = {
            "vectors": vectors.requires_grad_(),
            "y": self._analysed(vectors).requires_grad_(),
        }
        self.identity = {"weights": model_id.hex()}
        self._refines = False

    def begin(self, phase: Phase) -> None:
        """What is coded begins as what the vectors come to."""
        self._refines = bool(phase.words.get("refine", False))
        if self._refines:
            with torch.no_grad():
                self.values["y"].copy_(self._analysed(self.values["vectors"]))

    def optimiser(self) -> torch.optim.Optimizer:
        """Plain steps of vectors, or Adam of latents."""
        if self._refines:
            return torch.optim.Adam([self.values["y"]], lr=1.0)
        return torch.optim.SGD([self.values["vectors"]], lr=1.0)

    @torch.no_grad()
    def _analysed(self, vectors: Tensor) -> Tensor:
        grid: Tensor = self.weights.analysis(
            self.weights.latent_grid(vectors.detach(), self.model.layout)
        )
        return grid

    def descend(self, moment: Moment) -> None:
        """Gradients of each patch's error, at its own rates; or of rate and distortion."""
        if not self._refines:
            vectors = self.values["vectors"]
            errors = (self.weights.field(vectors) - self._targets).square().mean((1, 2))
            (gradient,) = torch.autograd.grad(errors.sum(), vectors)
            vectors.grad = self.weights.rates(gradient)
            return
        meter = RateMeter(training=True)
        y = self.weights.code(self.values["y"], self.model.latent_shape, meter)
        x = self.weights.render(y, self.model.layout)[..., : self.size[0], : self.size[1]]
        error = 255**2 * (x - self.x).square().mean()
        (meter.total().sum() / self._pixels + LAMBDA * error).backward()

    @property
    def _pixels(self) -> int:
        return self.size[0] * self.size[1]

    @torch.no_grad()
    def measure(self) -> Figures:
        """As coded, in eight bits."""
        if not self._refines:
            # What is kept of a state is what would be coded.
            self.values["y"].copy_(self._analysed(self.values["vectors"]))
        meter = RateMeter(training=False)
        y = self.weights.code(self.values["y"], self.model.latent_shape, meter)
        x = self.weights.render(y, self.model.layout)[..., : self.size[0], : self.size[1]]
        error = float((as_pixels(x).float() - 255 * self.x).square().mean())
        bpp = float(meter.total().sum()) / self._pixels
        psnr = 10 * math.log10(255**2 / error) if error else math.inf
        return Figures(bpp + LAMBDA * error, bpp, psnr)

    def result(self, show: Show = nothing_shown) -> tuple[FittedModel, Mapping[str, Any]]:
        """The latents."""
        return self.model, {"y": self.values["y"].detach()}
