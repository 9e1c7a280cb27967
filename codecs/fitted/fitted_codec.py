"""A fitted family ready to code: each picture or clip is a fit of its own."""

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kodec.codecs.codec import as_picture
from kodec.codecs.fitted_families import family_named
from kodec.codecs.loaded_model import DEFAULT_QUALITY, check_device
from kodec.codecs.memory_guard import MemoryGuard
from kodec.codecs.model_size import ModelSize, size_in_words
from kodec.codecs.objective import HIGHEST_QUALITY
from kodec.native import InvalidInputError, UnsupportedError

from .fit_file import FitFile
from .fitted_file import FittedFile, read_fitted, write_fitted
from .fitted_model import Clip, FileFitting, FittedModel, Goal, Reconstruction, words_of
from .fitting import Budget, Figures, Fit, Show, fit, nothing_shown

DEFAULT_EFFORT = 5


@dataclass(frozen=True)
class FittedResult:
    """A file's bytes, the fit that they came of, the network, and what they will decode to."""

    data: bytes
    run: Fit
    model: FittedModel
    reconstruction: Reconstruction
    reached: bool = False
    """Whether the fit came to the PSNR or the bpp that its budget names."""


class FittedCodec:
    """Codes as `Codec` does, by a fit within a budget; `decode` needs no codec but the file.

    budget: else that of `effort`, 0 to 9. until: the fit ends where it reaches so many
    dB. Raises `InvalidInputError` for an unknown family, and for a size or preset that it does not
    take.
    """

    def __init__(
        self,
        family: str,
        budget: Budget | None = None,
        *,
        effort: int = DEFAULT_EFFORT,
        size: ModelSize | None = None,
        preset: str | None = None,
        seed: int = 0,
        device: str = "cpu",
        until: float | None = None,
    ) -> None:
        check_device(device)
        self.family = family_named(family)
        self.kind = self.family.model()
        if (size is not None) > self.kind.takes_size:
            goes = "goes by a quality" if self.kind.takes_quality else "has one fixed rate"
            raise InvalidInputError(f"{family} {goes}: leave the size out")
        self._check_preset(preset)
        self.goal = Goal(None, size, seed, preset, device)
        if budget is None:
            steps = self.kind.schedule(self.goal, None).steps
            if not 0 <= effort < len(steps):
                raise InvalidInputError(f"{family} has efforts 0 to {len(steps) - 1}, not {effort}")
            budget = Budget(steps=steps[effort])
        self.budget = budget if until is None else replace(budget, psnr=until)

    @classmethod
    def of_settings(cls, settings: Mapping[str, Any], device: str = "cpu") -> Self:
        """The codec whose `settings` these are, as results keep them.

        Raises `UnsupportedError` where they are of no budget that is known.
        """
        number, _, unit = str(settings.get("fit")).partition(" ")
        try:
            if unit not in ("steps", "minutes"):
                raise ValueError
            of_steps = unit == "steps"
            budget = Budget(int(number)) if of_steps else Budget(minutes=float(number))
        except ValueError:
            raise UnsupportedError("its results do not say how long was fitted") from None
        size, preset = settings.get("size"), settings.get("preset")
        return cls(
            str(settings.get("family")),
            budget,
            size=None if size is None else size_in_words(str(size)),
            preset=None if preset is None else str(preset),
            seed=int(settings.get("seed", 0)),
            device=device,
        )

    @property
    def name(self) -> str:
        """The family's, with what it is fitted for."""
        goal = self.goal
        what = [w for w in (goal.preset, None if goal.size is None else str(goal.size)) if w]
        return f"{self.family.name} ({', '.join([*what, self.budget.in_words()])})"

    @property
    def variable_rate(self) -> bool:
        """Whether `encode` takes a quality."""
        return self.kind.takes_quality

    @property
    def settings(self) -> dict[str, str | int | bool]:
        """What files depend on besides what is coded and its quality."""
        goal, budget = self.goal, self.budget
        found: dict[str, str | int | bool] = {
            "family": self.family.name,
            "version": self.family.version,
            "fit": budget.in_words(),
            "seed": goal.seed,
            "device": goal.device,
        }
        found |= {} if goal.preset is None else {"preset": goal.preset}
        return found | ({} if goal.size is None else {"size": str(goal.size)})

    def check_quality(self, quality: int | None) -> int | None:
        """The quality to use; raises `InvalidInputError` where the family can't have it."""
        if not self.variable_rate:
            if quality is not None:
                rate = "goes by a size" if self.kind.takes_size else "has one fixed rate"
                raise InvalidInputError(f"{self.family.name} {rate}: leave the quality out")
            return None
        quality = DEFAULT_QUALITY if quality is None else int(quality)
        if not 0 <= quality <= HIGHEST_QUALITY:
            raise InvalidInputError(f"quality goes from 0 to {HIGHEST_QUALITY}, not {quality}")
        return quality

    def encode(self, image: NDArray[np.uint8] | Image.Image, quality: int | None = None) -> bytes:
        """A picture as the bytes of a `.kdc` file; as `Codec.encode`."""
        picture = as_picture(image)
        metadata = {"icc": picture.icc, "exif": picture.exif}
        present = {name: data for name, data in metadata.items() if data}
        return self.fit(Clip(picture.pixels[None]), quality, metadata=present).data

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """The picture in a file's bytes, uint8 (H, W, 1) or (H, W, 3)."""
        return decode_fitted(data, self.goal.device)

    def fit(
        self,
        clip: Clip,
        quality: int | None = None,
        show: Show = nothing_shown,
        accept: Callable[[Figures], bool] = lambda figures: True,
        state: Path | None = None,
        resume: bool = False,
        metadata: Mapping[str, bytes] | None = None,
    ) -> FittedResult:
        """Fit a clip, and code what it came to.

        accept: which states may be kept, beside the first. state: a file for the fit, to be removed
        once the result is written; resume: go on from it. Raises `InvalidInputError` and
        `BitstreamError` as `FitFile.load` does, `KodecError` as `fit` does, `UnsupportedError` for
        a video or a picture that the family does not code.
        """
        self._check_kind(clip)
        goal = replace(self.goal, quality=self.check_quality(quality))
        with MemoryGuard(clip.size.width, clip.size.height):
            fitting = self.kind.fitting(clip, goal)
            return self._coded(fitting, clip, goal, show, accept, state, resume, metadata)

    def extend(
        self,
        archive: FittedFile,
        clip: Clip,
        show: Show = nothing_shown,
        state: Path | None = None,
        resume: bool = False,
    ) -> FittedResult:
        """The file of an archive with a clip behind what it holds, which does not change.

        The result's run and `reached` are of the clip alone. Raises as `fit`, and
        `InvalidInputError` for another family's archive.
        """
        self._check_kind(clip)
        if archive.model.family != self.family:
            raise InvalidInputError(
                f"the archive is of {archive.model.family.name}, not of {self.family.name}"
            )
        packets = hashlib.sha256(b"".join(archive.packets)).hexdigest()[:16]
        with MemoryGuard(clip.size.width, clip.size.height):
            fitting = archive.model.extension(archive.parameters, clip, self.goal)
            fitting.identity = {**fitting.identity, "archive": packets}
            how = show, lambda figures: True, state, resume, archive.metadata
            return self._coded(fitting, clip, self.goal, *how, archive)

    def _coded(
        self,
        fitting: FileFitting,
        clip: Clip,
        goal: Goal,
        show: Show,
        accept: Callable[[Figures], bool],
        state: Path | None,
        resume: bool,
        metadata: Mapping[str, bytes] | None,
        archive: FittedFile | None = None,
    ) -> FittedResult:
        schedule = self.kind.schedule(goal, self.budget)
        fitting.identity = {
            **fitting.identity,
            "family": f"{self.family.name} {self.family.version}",
            "input": clip.digest,
            "goal": repr(goal),
        }
        run_with = {"budget": repr(self.budget), "schedule": repr(schedule.phases)}
        store = None if state is None else FitFile(state, run_with)
        begun = store.load(fitting, schedule) if store is not None and resume else None
        run = fit(fitting, schedule, self.budget, show, accept, store=store, begun=begun)
        model, parameters = fitting.result(show)
        file = io.BytesIO()
        rate = clip.rate if archive is None else archive.header.rate
        earlier = () if archive is None else archive.packets
        shown = write_fitted(file, model, parameters, metadata, rate, earlier)
        reached = run.figures is not None and self.budget.reached(run.figures)
        return FittedResult(file.getvalue(), run, model, shown, reached)

    def _check_preset(self, preset: str | None) -> None:
        family, presets, words = self.family.name, self.kind.presets, words_of(preset)
        for word in words:
            if word not in presets:
                known = f"has {', '.join(presets)}" if presets else "has none"
                raise InvalidInputError(f"{family} has no preset {word!r}: it {known}")
        if len(words) > 1 and (not self.kind.combines or len(set(words)) < len(words)):
            raise InvalidInputError(f"{family} takes one preset: name no others with it")

    def _check_kind(self, clip: Clip) -> None:
        video = clip.size.frames > 1
        if not (self.family.videos if video else self.family.pictures):
            what = "a video" if video else "a picture"
            raise UnsupportedError(f"{self.family.name} does not code {what}: name another family")


def load_fitted(
    family: str, minutes: float | None = None, steps: int | None = None, **options: Any
) -> FittedCodec:
    """A fitted family by its name, with a budget in minutes or steps a picture; else of effort 5.

    options: as `FittedCodec` takes.
    """
    given = minutes is not None or steps is not None
    return FittedCodec(family, Budget(steps, minutes) if given else None, **options)


def open_fitted(file: BinaryIO | bytes, device: str = "cpu") -> FittedFile:
    """A fitted network's file, whose frames are decoded one by one; see `read_fitted`."""
    return read_fitted(file, device)


def decode_fitted(data: bytes, device: str = "cpu") -> NDArray[np.uint8]:
    """The picture in a fitted network's file, uint8 (H, W, C).

    Raises `UnsupportedError` for one of a video, and of more than 8 bits.
    """
    found = read_fitted(data, device)
    header = found.header
    if header.frames > 1 or header.bit_depth > 8:
        raise UnsupportedError(
            f"the file holds {header.frames} frames of {header.bit_depth} bits: open it with "
            "kodec.open_fitted, and ask for its frames"
        )
    frame: NDArray[np.uint8] = found.reconstruction.frame(0)
    return frame
