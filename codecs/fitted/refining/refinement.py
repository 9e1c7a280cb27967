"""Refinement: latents and hyper-latents of one picture, optimised before they are coded.

Source: "Improving inference for neural image compression" (2020).
"""

import copy
import hashlib
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from kodec.codecs.coded_transform import Latents
from kodec.codecs.fitted.fitting import Figures, Fitting
from kodec.codecs.fitted.schedule import Moment, Phase, PhaseKeys
from kodec.codecs.objective import Objective
from kodec.codecs.pictures.picture_codec import PictureCodec
from kodec.codecs.pictures.pixels import as_pixels
from kodec.entropy import HYPER_STRIDE, RateMeter, Relaxation
from kodec.native import InvalidInputError

from .tiles import Span, Tile, tiles

# The graph of a step takes about 1.2 GB a megapixel of the default model.
MOST_PIXELS = 2 * 2**20
# In latent positions: of a tile's side, and of what contexts and hyper-networks see.
TILE = 64
CONTEXT_REACH = 8


def relaxation_at(phase: Phase, passed: float) -> Relaxation:
    """The meter's relaxation where `passed` in [0, 1] of the phase is; raises as that does."""
    values: Any = phase.words.get("values", "rounding")
    temperature = phase.knob("temperature", passed) if "temperature" in phase.knobs else None
    return Relaxation(values, temperature)


# `values` and `temperature`: see `Relaxation`.
PHASE_KEYS = PhaseKeys(
    frozenset({"temperature"}), frozenset({"values"}), lambda phase: relaxation_at(phase, 0.0)
)


class LatentRefinement(Fitting):
    """A `Fitting` of the latents of one picture (1, 3, H, W), values in [0, 1].

    network: ready to code; measurements are its own, steps are made with a copy in float32.
    quality: (1,), or None. lam: lambda of the objective there. Side latents that a transform sends
    stay as they are. Latent models whose hyper-latents follow from more than the latents
    (`hyper_latents` gives None) have y alone refined. identity: see `Fitting`.
    """

    def __init__(
        self,
        network: PictureCodec,
        x: Tensor,
        quality: Tensor | None,
        objective: Objective,
        lam: float,
        identity: Mapping[str, str],
    ) -> None:
        self.network = network
        self.x, self.quality, self.objective, self.lam = x, quality, objective, lam
        self.size = (1, x.shape[-2], x.shape[-1])
        self.cond = network.conditions(self.size, quality)
        sent = RateMeter(training=False)
        with torch.no_grad():
            begun = network.analyse(network.pad(x), self.cond, sent)
            z = network.latent_model.hyper_latents(begun.y, self.cond)
        self.side = begun.side
        self.sent = sum(float(bits.sum()) for bits in sent.bits.values())
        self.values = {"y": _leaf(begun.y)} | ({} if z is None else {"z": _leaf(z)})
        self.identity = {
            **identity,
            "picture": hashlib.sha256(x.cpu().numpy().tobytes()).hexdigest()[:16],
            "objective": f"{lam!r} x {objective.distortion}",
        }
        self.single = copy.deepcopy(network).float().requires_grad_(False)
        self.hyper_stride = int(getattr(network.latents, "hyper_stride", HYPER_STRIDE))
        self.tiled = self._pixels > MOST_PIXELS
        self.reach = int(getattr(network.synthesis, "reach", 0)) + CONTEXT_REACH
        if self.tiled and (self.side is not None or not self._in_parts()):
            raise InvalidInputError(
                f"pictures of more than {MOST_PIXELS:,} pixels are refined tile by tile, which "
                f"goes with transforms of a known reach and with mse, not with this model"
            )

    def latents(self) -> Latents:
        """What is to be coded."""
        return Latents(self.values["y"], self.values.get("z"), self.side)

    def descend(self, moment: Moment) -> None:
        """Gradients of bits per pixel + lambda x distortion; of large pictures tile by tile."""
        relaxation = relaxation_at(moment.phase, moment.passed)
        h, w = self.values["y"].shape[-2:]
        if not self.tiled:
            self._backward(self.latents(), self.x, self.size, relaxation)
            return
        for tile in tiles(h, w, TILE, self.reach, self.hyper_stride):
            self._descend_tile(tile, relaxation)

    def _descend_tile(self, tile: Tile, relaxation: Relaxation) -> None:
        stride = self.network.stride
        y = _window(self.values["y"], tile.rows, tile.columns, tile.own_rows, tile.own_columns)
        z = self.values.get("z")
        if z is not None:
            spans = (tile.rows, tile.columns, tile.own_rows, tile.own_columns)
            stride_z = self.hyper_stride
            z = _window(z, *((a // stride_z, -(-b // stride_z)) for a, b in spans))
        rows, columns = ([stride * end for end in span] for span in (tile.rows, tile.columns))
        x = self.x[..., rows[0] : rows[1], columns[0] : columns[1]]
        seen = (slice(stride * a, stride * b) for a, b in (tile.seen_rows, tile.seen_columns))
        size = (1, x.shape[-2], x.shape[-1])
        self._backward(Latents(y, z), x, size, relaxation, *seen)

    def _backward(
        self,
        latents: Latents,
        x: Tensor,
        size: tuple[int, int, int],
        relaxation: Relaxation,
        rows: slice = slice(None),
        columns: slice = slice(None),
    ) -> None:
        """Of latents of pixels x, whose rows and columns are looked at."""
        meter = RateMeter(training=True, relaxation=relaxation)
        cond = self.single.conditions(size, self.quality)
        coded = self.single.code_latents(latents, cond, meter)
        x_hat = self.single.reconstruct(coded, size, self.quality)
        seen = (..., rows, columns)
        distortion = self.objective.distortions(x[seen], x_hat[seen]).sum()
        share = x[seen].numel() / self.x.numel()
        loss = meter.total().sum() / self._pixels + self.lam * share * distortion
        loss.backward()

    @torch.no_grad()
    def measure(self) -> Figures:
        """As coded, and in eight bits."""
        meter = RateMeter(training=False)
        coded = self.network.code_latents(self.latents(), self.cond, meter)
        x_hat = self.network.reconstruct(coded, self.size, self.quality)
        pixels = as_pixels(x_hat).float() / 255
        bpp = (float(meter.total().sum()) + self.sent) / self._pixels
        distortion = float(self.objective.distortions(self.x, pixels).sum())
        error = float((self.x - pixels).square().mean())
        psnr = -10 * math.log10(error) if error else math.inf
        return Figures(bpp + self.lam * distortion, bpp, psnr)

    def _in_parts(self) -> bool:
        return hasattr(self.network.synthesis, "reach") and self.objective.distortion == "mse"

    @property
    def _pixels(self) -> int:
        return self.size[1] * self.size[2]


def _window(x: Tensor, rows: Span, columns: Span, own_rows: Span, own_columns: Span) -> Tensor:
    """A window of x, of which its own part alone gets gradients."""
    window = x[..., rows[0] : rows[1], columns[0] : columns[1]]
    own = torch.zeros(window.shape[-2:], dtype=torch.bool, device=x.device)
    own[own_rows[0] : own_rows[1], own_columns[0] : own_columns[1]] = True
    return torch.where(own, window, window.detach())


def _leaf(values: Tensor) -> Tensor:
    return values.float().clone().requires_grad_()
