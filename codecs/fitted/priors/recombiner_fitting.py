"""Fitting RECOMBINER's posterior to a picture, and coding it block by block while it is fitted."""

import hashlib
import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kodec.codecs.fitted.fitting import Figures, Fitting
from kodec.codecs.fitted.schedule import Moment, PhaseKeys
from kodec.codecs.pictures.pixels import as_pixels
from kodec.entropy.relative_entropy import Gaussians, kl_bits

from .recombiner import Recombiner, scale_of

# A block's divergence is held at so much less than its bits: its weight changes by a power of how
# far away it is, within bounds, as fast as a fit of some hundred steps needs.
MARGIN = 1.0
WEIGHT_POWER = 1.0
MOST_CHANGE = 1.2
ADAPT_EVERY = 5
# Pixels drawn of each patch in a step.
PIXELS = 256
NOT_CODED = -1
SCALES_RATE = 10.0
PHASES = PhaseKeys(knobs=frozenset({"coded"}))


class RecombinerFitting(Fitting):
    """What `fit` optimises: means and scales of a picture's numbers, and what is coded of them.

    x: (1, 3, H, W) in [0, 1]. bits, seed: of the blocks. The phase's knob "coded" is the share of
    blocks that are coded by then: the levels in turn, of a level's blocks first those whose
    divergence is the largest. What is coded stays; the rest is fitted on.
    """

    def __init__(
        self,
        model: Recombiner,
        x: Tensor,
        bits: int,
        seed: int = 0,
        identity: Mapping[str, str] | None = None,
    ) -> None:
        self.model, self.bits = model, bits
        self.size = (x.shape[2], x.shape[3])
        self.x = x
        self.layout = model.layout(*self.size)
        self.plan = model.plan(self.layout, bits, seed)
        self.identity = {
            **(identity or {}),
            "picture": hashlib.sha256(x.numpy().tobytes()).hexdigest()[:16],
            "blocks": f"{bits} bits, seed {seed}",
        }
        # At the right and the bottom edge patches go on as the last column and row.
        padding = (
            self.layout.columns * model.side - x.shape[3],
            self.layout.rows * model.side - x.shape[2],
        )
        padded = torch.nn.functional.pad(x, (0, padding[0], 0, padding[1]), mode="replicate")
        self._targets = self.layout.split(padded)
        self._block_of = torch.from_numpy(self.plan.block_of())
        self._prior_mean = model.flat(self.layout, "mean").detach()
        self._prior_scale = model.flat(self.layout, "scale").detach()
        mean = self._prior_mean.clone().requires_grad_()
        raw = model.flat(self.layout, "raw_start").detach().clone().requires_grad_()
        self.values = {
            "mean": mean,
            "raw": raw,
            "weights": torch.full((self.plan.blocks,), float(model.kl_weight)),
            "indexes": torch.full((self.plan.blocks,), NOT_CODED, dtype=torch.int64),
            "samples": self._prior_mean.clone(),
            "spent": torch.zeros(self.plan.blocks),
        }

    def optimiser(self) -> torch.optim.Optimizer:
        """Adam over means, and faster over scales, which are optimised in their logarithms."""
        groups = [
            {"params": [self.values["mean"]], "scale": 1.0},
            {"params": [self.values["raw"]], "scale": SCALES_RATE},
        ]
        return torch.optim.Adam(groups, lr=1.0)

    @property
    def indexes(self) -> NDArray[np.int64]:
        """What the file has: each block's index."""
        return self.values["indexes"].numpy()

    @property
    def spent(self) -> NDArray[np.float32]:
        """The divergence in bits that each block had when it was coded."""
        return self.values["spent"].numpy()

    def descend(self, moment: Moment) -> None:
        """Adapt the weights, code what is due, and add the gradients of what is left."""
        if moment.step % ADAPT_EVERY == 0:
            self._adapt()
        self.code_until(math.floor(moment.knob("coded", 0.0) * self.plan.blocks))
        open_ = self._open()
        if not open_.any():
            return
        mean, scale = self.values["mean"], scale_of(self.values["raw"])
        sample = torch.where(open_, mean + scale * torch.randn_like(scale), self.values["samples"])
        chosen = torch.randperm(self.model.side**2)[:PIXELS]
        y = self.model.render(sample[None], self.layout, chosen)
        error = (y - self._targets[:, :, chosen]).square().mean()
        bits = kl_bits(mean, scale, self._prior_mean, self._prior_scale)
        weights = torch.where(open_, self.values["weights"][self._block_of], 0.0)
        loss = error * self.layout.patches + math.log(2) * (weights * bits).sum()
        # The shared weights are no leaves of this loss.
        grads = torch.autograd.grad(loss, (mean, self.values["raw"]))
        for value, grad in zip((mean, self.values["raw"]), grads, strict=True):
            value.grad = grad

    @torch.no_grad()
    def code_until(self, count: int) -> None:
        """Code blocks until so many are."""
        indexes = self.values["indexes"]
        done = int((indexes != NOT_CODED).sum())
        if done >= count:
            return
        mean, scale = self.values["mean"], scale_of(self.values["raw"])
        costs = self._block_bits()
        for _ in range(done, count):
            block = self._next(indexes, costs)
            places = torch.from_numpy(self.plan.members(block))
            q, p = (
                Gaussians(m[places].double().numpy(), s[places].double().numpy())
                for m, s in ((mean, scale), (self._prior_mean, self._prior_scale))
            )
            samples = self.plan.samples(block)
            indexes[block] = samples.encode(q, p)
            self.values["spent"][block] = costs[block]
            normals = torch.from_numpy(samples.normals(int(indexes[block])))
            spread = self._prior_scale[places] * normals
            self.values["samples"][places] = self._prior_mean[places] + spread

    @torch.no_grad()
    def measure(self) -> Figures:
        """What samples, and means where there are none yet, give in eight bits.

        The loss is above another's where more is uncoded, so that a fit ends with all coded; before
        that it is the error and what blocks have too many bits.
        """
        open_ = self._open()
        flat = torch.where(open_, self.values["mean"], self.values["samples"])
        picture = self.layout.picture(self.model.render(flat[None], self.layout))
        pixels = as_pixels(picture[..., : self.size[0], : self.size[1]]).float() / 255
        error = float((self.x - pixels).square().mean())
        left = self.values["indexes"] == NOT_CODED
        excess = (self._block_bits()[left] - self.bits).clamp(min=0).sum() / self.plan.blocks
        bpp = self.plan.blocks * self.bits / (self.size[0] * self.size[1])
        psnr = -10 * math.log10(error) if error else math.inf
        return Figures(float(left.sum()) + error + float(excess), bpp, psnr)

    def _open(self) -> Tensor:
        """Which numbers are not coded."""
        return self.values["indexes"][self._block_of] == NOT_CODED

    @torch.no_grad()
    def _block_bits(self) -> Tensor:
        """Each block's divergence in bits, coded or not."""
        scale = scale_of(self.values["raw"])
        bits = kl_bits(self.values["mean"], scale, self._prior_mean, self._prior_scale)
        return torch.zeros(self.plan.blocks).index_add_(0, self._block_of, bits)

    def _adapt(self) -> None:
        """Move the blocks' weights towards those that hold their divergence where it is to be."""
        away = self._block_bits() / (self.bits - MARGIN)
        self.values["weights"] *= away.pow(WEIGHT_POWER).clamp(1 / MOST_CHANGE, MOST_CHANGE)

    def _next(self, indexes: Tensor, costs: Tensor) -> int:
        """The block to code next."""
        for first, end in zip(self.plan.firsts, self.plan.firsts[1:]):
            left = indexes[first:end] == NOT_CODED
            if left.any():
                return first + int(costs[first:end].masked_fill(~left, -math.inf).argmax())
        raise IndexError("all blocks are coded")
