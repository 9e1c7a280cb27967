"""RECOMBINER: fit a picture, write indexes, decode them; broken fits; bits by block."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from kodec.codecs import Recombiner, as_pixels, load_model, save_model
from kodec.codecs.fitted import Budget, FitFile, fit
from kodec.codecs.fitted.priors import recombiner_fitting as fitting_module
from kodec.codecs.fitted.priors.recombiner_fitting import PHASES, RecombinerFitting
from kodec.codecs.fitted.schedule import Schedule, read_schedule
from kodec.native import InvalidInputError
from small_recombiner import small_recombiner, waves

BITS = 8


def schedule() -> Schedule:
    path = Path(fitting_module.__file__).with_name("recombiner.yaml")
    return read_schedule("recombiner", path, PHASES)


def fitting(height: int = 40, width: int = 24) -> RecombinerFitting:
    """Of a picture that is not whole patches."""
    return RecombinerFitting(small_recombiner(), waves(5, height, width)[4:], BITS)


def test_a_fit_codes_every_block_and_the_file_decodes() -> None:
    work = fitting()
    start = work.measure()
    run = fit(work, schedule(), Budget(steps=60))
    indexes = work.indexes
    assert 0 <= indexes.min() and indexes.max() < 1 << BITS
    assert run.figures is not None and run.figures.psnr > start.psnr + 3
    model, layout = small_recombiner(), work.layout
    numbers = model.numbers(work.plan, torch.from_numpy(indexes), layout)
    picture = layout.picture(model.render(numbers, layout))[..., :40, :24]
    error = (as_pixels(picture).float() / 255 - work.x).square().mean()
    assert -10 * math.log10(error) == pytest.approx(run.figures.psnr)
    assert run.figures.bpp == BITS * len(indexes) / (40 * 24)


def test_blocks_are_held_to_their_bits() -> None:
    work = fitting()
    fit(work, schedule(), Budget(steps=300))
    assert work.spent.shape == work.indexes.shape
    assert 0.7 * BITS < work.spent.mean() < 1.15 * BITS
    assert np.quantile(work.spent, 0.9) < BITS + 2


def test_a_killed_fit_goes_on_as_if_unbroken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = fitting()
    fit(unbroken, schedule(), Budget(steps=20))
    monkeypatch.setattr("kodec.codecs.fitted.fitting.SAVE_EVERY", 0.0)
    store = FitFile(tmp_path / "a.fit", {})

    class Stopped(Exception):
        pass

    def stop(done: int, total: int, words: str) -> None:
        if done == 16:
            raise Stopped

    with pytest.raises(Stopped):
        fit(fitting(), schedule(), Budget(steps=20), show=stop, store=store)
    again = fitting()
    begun = store.load(again, schedule())
    assert begun[0].done == 15 and (again.indexes >= 0).any() and (again.indexes < 0).any()
    fit(again, schedule(), Budget(steps=20), store=store, begun=begun)
    assert np.array_equal(again.indexes, unbroken.indexes)


def test_a_model_file_gives_the_same_pictures(tmp_path: Path) -> None:
    config = {
        "class_path": "kodec.codecs.Recombiner",
        "init_args": {"hidden": [8], "fourier": 4, "encoding": [4, 4, 4], "side": 16},
    }
    model = small_recombiner()
    info = save_model(model, config, tmp_path / "small.safetensors", "small")
    loaded, again = load_model(tmp_path / "small.safetensors")
    assert again.model_id == info.model_id and info.portability == "exact"
    assert isinstance(loaded, Recombiner)
    layout = model.layout(32, 32)
    plans = [m.plan(layout, BITS, 1) for m in (model, loaded)]
    indexes = torch.arange(plans[0].blocks) % 256
    numbers = [m.numbers(plan, indexes, layout) for m, plan in zip((model, loaded), plans)]
    assert torch.equal(*numbers)


def test_bits_that_no_block_has_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="4 to 16 bits"):
        RecombinerFitting(small_recombiner(), waves(1, 32, 32), 20)
