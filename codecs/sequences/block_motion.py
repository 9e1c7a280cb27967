"""Frames from decoded ones by blocks' motion; what is left is coded beside the prediction.

    x --picture model--> x_hat                                            (no references)

    x, reference --least squares--> light --(port)--> reference in that light
    x, reference --search--> vectors --(port)--> prediction, in 8 bits            (otherwise)
    x - prediction --lapped, gain--> y --> flags of blocks --(port)
    y --(latents: known prediction)--> y_hat
    prediction + inverse(y_hat) --> x_hat, in 8 bits, the next reference

The search and the prediction are integers of the core, the lapped transform is linear and fixed:
where nothing is coded, a frame is its prediction to the bit. Sources: "Overlapped block motion
compensation: an estimation-theoretic approach" (1994); coding beside a prediction in place of
subtracting it alone: "Deep contextual video compression" (2021).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kodec.codecs.coded_transform import LatentModel
from kodec.codecs.pictures.picture_codec import PictureCodec
from kodec.entropy import (
    CHANGE,
    CODED,
    FEATURES,
    PREDICTION,
    Conditions,
    GainUnit,
    RateMeter,
    SymbolPort,
    Within,
    as_role,
)
from kodec.models import Deringing, LappedDifferences
from kodec.native import InvalidInputError
from kodec.native.motion import average, compensate, luma, search

from .brightness import Brightness, brightness_between, lit
from .coded_blocks import UNKNOWN, CodedBlocks
from .dominant_shifts import dominant_shifts
from .motion_fields import BLOCK, QUALITY_CLASSES, MotionCoder, MotionField
from .refined_vectors import refine_vectors
from .sequence_model import EIGHT_BITS, FINE, FrameStep, SequenceModel, State
from .still_blocks import leave_still

_Bytes = NDArray[np.uint8]
MOTION_FEATURES = 4
# What differs between machines of a filter in float32, of pixels in [0, 1].
_FILTER_GUARD = 3e-7
# The least that a bit of vectors may cost, in the search's sixteenths of a grey level.
_LARGEST_BIT_COST = 4096
# What a block that stands still saves, about.
_VECTOR_BITS = 2
# The share of blocks that have a difference above which flags are not tried.
_MOST_CODED = 1 / 8
# Ways that much of a picture moves, which the search begins from too.
_SHIFTS = 2


class BlockMotion(SequenceModel):
    """Keyframes by a picture model, other frames from one or two others, by motion of blocks.

    Of two references the first's vectors and difference are what the others are coded beside.

    picture: a trained `PictureCodec` without side latents, which training leaves as it is; quality
    is its own. latents: codes differences, (N, 384, h, w), beside `PREDICTION`, `CHANGE` and
    `MOTION_FEATURES` `FEATURES`. gain: of differences. deringing: whether keyframes are filtered.
    vector_cost: of a bit of vectors, in quantisation steps of luma, in the search. least_coded: of
    a block's latents, in steps: where all are smaller the encoder codes none.
    """

    reference_counts = (0, 1, 2)

    def __init__(
        self,
        picture: PictureCodec,
        latents: nn.Module,
        gain: GainUnit,
        deringing: bool = False,
        vector_cost: float = 0.25,
        least_coded: float = 1.0,
    ) -> None:
        super().__init__(picture.portability)
        if picture.side is not None or not picture.variable_rate:
            raise InvalidInputError(
                "motion goes with a picture model of variable rate and without side latents"
            )
        for part, name in ((latents, "latents"), (gain, "gain")):
            if part.channels != LappedDifferences.channels:
                raise InvalidInputError(
                    f"the part {name} has {part.channels} channels, differences have "
                    f"{LappedDifferences.channels}"
                )
        self.picture = picture.requires_grad_(False)
        # Frames are made from what these make.
        as_role("shared", picture.synthesis)
        if picture.gain is not None:
            as_role("shared", picture.gain)
        self.deringing = Deringing().requires_grad_(False) if deringing else None
        self.brightness = Brightness()
        self.motion = MotionCoder()
        self.blocks = CodedBlocks()
        self.transform = LappedDifferences()
        self.latents = latents
        self.gain = gain
        self.vector_cost = vector_cost
        self.least_coded = least_coded

    @property
    def variable_rate(self) -> bool:
        """It takes a quality."""
        return True

    def encoder_only_arguments(self) -> dict[str, tuple[str, ...]]:
        """What the search weighs and what is left out is the encoder's."""
        return super().encoder_only_arguments() | {"": ("vector_cost", "least_coded")}

    def adopt_picture(self, fill: Callable[[nn.Module], None]) -> None:
        """Let `fill` give the picture model weights."""
        fill(self.picture)

    def code(self, x: Tensor | None, step: FrameStep, port: SymbolPort) -> tuple[Tensor, State]:
        """One frame, from the mean of what one or two others predict, or by itself.

        Raises `InvalidInputError` for several frames, or more references.
        """
        if step.frames != 1 or len(step.references) > 2:
            raise InvalidInputError(
                f"this model codes a frame at a time from at most two others, not {step.frames} "
                f"from {len(step.references)}"
            )
        frame = None if x is None else x[:, 0]
        if step.references:
            with self.uncast():
                x_hat, state = self._inter(frame, step, port)
        else:
            x_hat, state = self._intra(frame, step, port)
        return x_hat[:, None], {"frame": x_hat, **state}

    def symbols(self, step: FrameStep) -> range:
        """Latents, vectors, and the numbers of the picture's grey levels, which cost nothing."""
        _, height, width = step.size
        pixels = 3 * height * width
        if not step.references:
            found = self.picture.symbols_per_item(height, width)
            filtered = self.snapped(pixels) if self.deringing is not None else 0
        else:
            rows, columns = -(-height // BLOCK), -(-width // BLOCK)
            count = self._latent_model.symbols(rows, columns)
            assert isinstance(count, int)
            count += self.blocks.symbols(rows, columns)
            moved = self.motion.symbols(rows, columns) + self.brightness.symbols
            count += len(step.references) * moved
            found, filtered = range(count, count + 1), 0
        more = self.snapped(pixels) + filtered
        return range(found.start + more, found.stop + more)

    @property
    def _latent_model(self) -> LatentModel:
        return cast(LatentModel, self.latents)

    def _intra(
        self, frame: Tensor | None, step: FrameStep, port: SymbolPort
    ) -> tuple[Tensor, State]:
        coded = self.picture.code_picture(frame, step.size, step.quality, port)
        x_hat = self.picture.reconstruct(coded, step.size, step.quality).to(self._precision)
        if self.deringing is None:
            return self._shown(x_hat, port), {}
        assert step.quality is not None
        # The filter is in float32, of values that are the same everywhere.
        x_hat = self.snap(port, "unfiltered", x_hat, FINE)
        height, width = x_hat.shape[-2:]
        even = nn.functional.pad(x_hat, (0, width % 2, 0, height % 2), mode="replicate")
        filtered = self.deringing(even, step.quality)[..., :height, :width]
        return self._shown(filtered.to(x_hat), port, _FILTER_GUARD), {}

    def _inter(
        self, frame: Tensor | None, step: FrameStep, port: SymbolPort
    ) -> tuple[Tensor, State]:
        n, height, width = step.size
        rows, columns = -(-height // BLOCK), -(-width // BLOCK)
        quality = self._quality(step)
        classes = (quality.long() * QUALITY_CLASSES // 64).clamp(0, QUALITY_CLASSES - 1).cpu()
        moved = [self._moved(frame, state, quality, classes, port) for state in step.references]
        predicted, field, before = moved[0]
        if len(moved) > 1:
            pairs = zip(predicted, moved[1][0], strict=True)
            predicted = np.stack([average(one, other) for one, other in pairs])
        state = step.references[0]
        prediction = torch.from_numpy(predicted).to(self._precision) / 255
        gains = torch.exp(self.gain.log_gain(quality))[..., None, None]
        y = None
        if frame is not None:
            y = self._differences(frame.to(self._precision) - prediction) * gains
        was_coded = state.get("coded", torch.full((n, rows, columns), UNKNOWN))
        all_were = state.get("all", torch.full((n,), UNKNOWN))
        steady = (field.vectors == before).all(-1).view(n, rows, 2, columns, 2).all(4).all(2)
        cond = self.conditions(state, prediction, field, before, step)

        def difference(flags: Tensor | None, port: SymbolPort) -> tuple[Tensor, Tensor]:
            seen = was_coded, all_were, steady, classes
            flags = self.blocks.code(flags, *seen, Within(port, "blocks"))
            own = replace(cond, known={**cond.known, CODED: flags[:, None].to(self.gain.first)})
            given = None if y is None else y * flags[:, None]
            found: Tensor = self._latent_model.code(given, own, Within(port, "difference"))
            return found, flags

        flags = None if y is None else self._flags(y, difference)
        y_hat, flags = difference(flags, port)
        change = self.transform.back(y_hat / gains)[..., :height, :width]
        x_hat = self._shown(prediction + change, port)
        change = x_hat.detach() - prediction
        coded = (y_hat != 0).any(1).long().cpu()
        every = flags.flatten(1).amin(1)
        return x_hat, {"vectors": field.vectors, "coded": coded, "all": every, "change": change}

    @torch.no_grad()
    def _flags(
        self, y: Tensor, difference: Callable[[Tensor, SymbolPort], tuple[Tensor, Tensor]]
    ) -> Tensor:
        """Which blocks of each item to code: those that have something, or all, if that is better.

        Where nothing moves most have nothing; elsewhere the latent model knows as much by itself.
        """
        some = (y.abs().amax(1) > self.least_coded).long().cpu()
        every = torch.ones_like(some)
        lagrangian = float(getattr(self.latents, "lagrangian", 0.0))
        if self.training or lagrangian <= 0:
            return some
        if float(some.double().mean()) > _MOST_CODED:
            return every
        costs = []
        for flags in (some, every):
            meter = RateMeter(training=False)
            error = (y - difference(flags, meter)[0]).square().flatten(1).sum(1)
            costs.append(meter.total().to(error) + error / lagrangian)
        better = (costs[0] < costs[1]).cpu()[:, None, None]
        return torch.where(better, some, every)

    def _moved(
        self, frame: Tensor | None, state: State, quality: Tensor, classes: Tensor, port: SymbolPort
    ) -> tuple[_Bytes, MotionField, Tensor]:
        """A prediction from one reference, its vectors, and those of the reference itself."""
        reference = self._lit(frame, _bytes(state["frame"]), Within(port, "brightness"))
        n, _, height, width = reference.shape
        rows, columns = -(-height // BLOCK), -(-width // BLOCK)
        before = state.get("vectors", torch.zeros(n, 2 * rows, 2 * columns, 2).long())
        field = None if frame is None else self._search(frame, reference, quality, classes, before)
        field = self.motion.code(field, before, classes, Within(port, "motion"))
        return _compensated(reference, field), field, before

    def _lit(self, frame: Tensor | None, reference: _Bytes, port: SymbolPort) -> _Bytes:
        """The reference in the light of the frame."""
        light = None
        if frame is not None:
            pairs = zip(_bytes(frame), reference, strict=True)
            found = [brightness_between(luma(new), luma(old)) for new, old in pairs]
            light = torch.tensor(found)
        light = self.brightness.code(light, len(reference), port)
        own = zip(reference, light.tolist(), strict=True)
        return np.stack([lit(planes, *pair) for planes, pair in own])

    def conditions(
        self,
        state: State,
        prediction: Tensor,
        field: MotionField,
        before: Tensor,
        step: FrameStep,
    ) -> Conditions:
        """What differences from a prediction (N, 3, H, W) may depend on.

        state: of the reference. before: vectors of the frame before the present one.
        """
        gains = torch.exp(self.gain.log_gain(self._quality(step)))[..., None, None]
        y = self._differences(prediction - 0.5) * gains
        change = torch.zeros_like(y)
        if "change" in state:
            change = self._differences(state["change"].to(y)) * gains
        features = motion_features(field, before).to(y)
        known = {PREDICTION: y, CHANGE: change, FEATURES: features}
        return Conditions(y.shape, step.quality, known)

    @property
    def _precision(self) -> torch.dtype:
        return self.gain.first.dtype

    def _quality(self, step: FrameStep) -> Tensor:
        if step.quality is None:
            raise InvalidInputError("this model has a variable rate: give a quality")
        return step.quality

    def _differences(self, d: Tensor) -> Tensor:
        """Differences (N, 3, H, W), replicated to whole blocks, as coefficients."""
        h, w = d.shape[-2:]
        padded = nn.functional.pad(d, (0, -w % BLOCK, 0, -h % BLOCK), mode="replicate")
        y: Tensor = self.transform(padded)
        return y

    def _search(
        self,
        frame: Tensor,
        reference: _Bytes,
        quality: Tensor,
        classes: Tensor,
        before: Tensor,
    ) -> MotionField:
        current = _bytes(frame)
        steps = 255 * torch.exp(-self.gain.log_gain(quality)[:, 0])
        found: list[tuple[NDArray[np.int16], _Bytes]] = []
        for new, old, size, last in zip(
            current, reference, steps.tolist(), before.cpu().short().numpy(), strict=True
        ):
            cost = min(round(16 * self.vector_cost * size), _LARGEST_BIT_COST)
            pair = luma(new), luma(old)
            shifts = dominant_shifts(*pair, count=_SHIFTS)[:, None, None]
            hints = np.concatenate([last[None], np.broadcast_to(shifts, (_SHIFTS, *last.shape))])
            threads = torch.get_num_threads()
            vectors, divisions = search(*pair, cost, threads=threads, hints=hints)
            bit = float(getattr(self.latents, "lagrangian", 0.0)) * size**2
            field = leave_still(*pair, vectors, divisions, _VECTOR_BITS * bit, threads)
            by = self.motion, int(classes[len(found)])
            found.append(refine_vectors(*pair, *field, last, *by, bit, threads))
        moves = torch.from_numpy(np.stack([v for v, _ in found])).long()
        return MotionField(moves, torch.from_numpy(np.stack([s for _, s in found])).long())

    def _shown(self, x_hat: Tensor, port: SymbolPort, guard: float = 1e-9) -> Tensor:
        """The frame as the decoder shows it and others read it."""
        return self.snap(port, "frame", x_hat.clamp(0, 1), EIGHT_BITS, guard)


def motion_features(field: MotionField, before: Tensor) -> Tensor:
    """What a field says of each block, (N, `MOTION_FEATURES`, rows, columns), float64.

    Log sizes of: vectors, their change from `before`, how far they are from those around; and
    whether the block is divided.
    """
    vectors = field.vectors.double().movedim(-1, 1)
    edged = nn.functional.pad(vectors, (1, 1, 1, 1), mode="replicate")
    around = nn.functional.avg_pool2d(edged, 3, stride=1)
    parts = [vectors, vectors - before.double().movedim(-1, 1), vectors - around]
    sizes = torch.stack([part.abs().sum(1) for part in parts], dim=1)
    features = torch.log1p(nn.functional.avg_pool2d(sizes, 2))
    return torch.cat([features, (field.divisions > 0)[:, None].double()], dim=1)


def _bytes(x: Tensor) -> _Bytes:
    """Pixels (N, 3, H, W) in [0, 1] to their nearest bytes."""
    whole = (x.detach().clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(whole.cpu().numpy())


def _compensated(reference: _Bytes, field: MotionField) -> _Bytes:
    vectors = field.vectors.to(torch.int16).numpy()
    threads = torch.get_num_threads()
    moved = [
        compensate(planes, np.ascontiguousarray(own), threads=threads)
        for planes, own in zip(reference, vectors, strict=True)
    ]
    return np.stack(moved)
