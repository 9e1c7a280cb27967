"""A loaded codec that refines each picture's latents before it codes them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from kodec.codecs.codec import Codec, Encoded, as_picture
from kodec.codecs.fitted.fit_file import FitFile
from kodec.codecs.fitted.fitting import Budget, Figures, Fit, Show, fit, nothing_shown
from kodec.codecs.fitted.schedule import Schedule, read_schedule
from kodec.codecs.memory_guard import MemoryGuard
from kodec.codecs.objective import Objective
from kodec.codecs.pictures.picture import Picture
from kodec.codecs.pictures.pixels import to_tensor
from kodec.native import InvalidInputError

from .refinement import PHASE_KEYS, LatentRefinement

SCHEDULE = "latents"
OF_OPTIMISED = "optimised-latents"


def usual_schedule(codec: Codec) -> Schedule:
    """The packaged schedule for a model: another one where its quantisation is optimised."""
    optimised = getattr(codec.network.latents, "lagrangian", 0.0) > 0
    return latent_schedule(OF_OPTIMISED if optimised else SCHEDULE)


def latent_schedule(name: str = SCHEDULE, path: Path | None = None) -> Schedule:
    """A schedule for latents; see `read_schedule`."""
    return read_schedule(name, path, PHASE_KEYS)


@dataclass(frozen=True)
class Refined:
    """What a picture came to: coded as it is best, and the fit."""

    coded: Encoded
    run: Fit
    better: bool
    """Whether the refined latents are those that were coded."""


class RefiningCodec:
    """Codes as `Codec` does, within a budget a picture; any decoder reads what it writes.

    objective: bpp + lambda x distortion by quality; by default what the model file says that the
    model was trained for. Never codes anything whose loss is above the plain file's. Raises
    `InvalidInputError` where nothing says the objective.
    """

    def __init__(
        self,
        codec: Codec,
        budget: Budget,
        schedule: Schedule | None = None,
        objective: Objective | None = None,
    ) -> None:
        objective = objective or codec.info.objective
        if objective is None:
            raise InvalidInputError(
                f"the model {codec.name} does not say what it was trained for, which refinement "
                "goes by: give its lambda"
            )
        self.codec = codec
        self.budget = budget
        self.schedule = schedule or usual_schedule(codec)
        self.objective = objective

    @property
    def name(self) -> str:
        """The model's name, and the budget."""
        return f"{self.codec.name}, refined for {self._budget()}"

    @property
    def variable_rate(self) -> bool:
        """Whether `encode` takes a quality."""
        return self.codec.variable_rate

    @property
    def settings(self) -> dict[str, str | int | bool]:
        """The codec's, and the budget."""
        return {**self.codec.settings, "refinement": self._budget()}

    def encode(self, image: NDArray[np.uint8] | Image.Image, quality: int | None = None) -> bytes:
        """As `Codec.encode`."""
        return self.refine(as_picture(image), quality).coded.data

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """As `Codec.decode`."""
        return self.codec.decode(data)

    def refine(
        self,
        picture: Picture,
        quality: int | None = None,
        show: Show = nothing_shown,
        accept: Callable[[Figures], bool] = lambda figures: True,
        state: Path | None = None,
        resume: bool = False,
        plain: Encoded | None = None,
    ) -> Refined:
        """Refine a picture's latents, and code it.

        accept: which states may be kept; the plain file is, whatever it says. state: a file for the
        fit, to be removed once the picture is written; resume: go on from it. plain: the picture
        coded without refinement, where that has been done already. Raises `InvalidInputError` and
        `BitstreamError` as `FitFile.load` does, `KodecError` as `fit` does.
        """
        codec, quality = self.codec, self.codec.check_quality(quality)
        plain = plain or codec.encode_picture(picture, quality)
        lam = self.objective.lambda_at(quality)
        fitting = LatentRefinement(
            codec.network,
            to_tensor(picture.pixels).to(codec.device),
            codec.condition(quality),
            self.objective,
            lam,
            {"model": codec.info.model_id.hex(), "quality": str(quality)},
        )
        store = None if state is None else FitFile(state, self._run_with())
        begun = store.load(fitting, self.schedule) if store is not None and resume else None
        height, width, _ = picture.pixels.shape
        with MemoryGuard(width, height):
            run = fit(fitting, self.schedule, self.budget, show, accept, store=store, begun=begun)
        if run.figures == run.start:
            return Refined(plain, run, better=False)
        coded = codec.reconstruct(codec.code_picture(picture, quality, fitting.latents()))
        # Estimates led here; what is written is held against bytes and pixels.
        figures = self._figures(coded, picture, lam)
        better = figures.loss < self._figures(plain, picture, lam).loss and accept(figures)
        return Refined(coded if better else plain, run, better)

    def _budget(self) -> str:
        budget = self.budget
        return f"{budget.minutes:g} minutes" if budget.steps is None else f"{budget.steps} steps"

    def _run_with(self) -> dict[str, str]:
        budget = self.budget
        what = f"{budget.steps} steps, {budget.minutes} minutes, {budget.psnr} dB, {budget.bpp} bpp"
        return {"budget": what, "schedule": repr(self.schedule.phases)}

    @torch.no_grad()
    def _figures(self, encoded: Encoded, picture: Picture, lam: float) -> Figures:
        """Of a file as it is."""
        height, width, _ = picture.pixels.shape
        x, x_hat = to_tensor(picture.pixels), to_tensor(encoded.reconstruction.pixels)
        distortion = float(self.objective.distortions(x, x_hat))
        error = float((x - x_hat).square().mean())
        bpp = 8 * len(encoded.data) / (height * width)
        psnr = -10 * math.log10(error) if error else math.inf
        return Figures(bpp + lam * distortion, bpp, psnr)
