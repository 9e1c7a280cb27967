"""Fitting frame networks: what a step sees, what is measured, and what a break changes."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from kodec.codecs.fitted import Budget, FitFile, Phase, Ramp, Schedule, fit
from kodec.codecs.fitted.frame_networks.frame_coding import EMBEDDING
from kodec.codecs.fitted.frame_networks.frame_fitting import FrameFitting, FrameRecipe
from kodec.models.fields import ConvNeXtEncoder, FrameDesign, StageDesign
from kodec.native import InvalidInputError

SCHEDULE = Schedule((Phase(1.0, Ramp(3e-3, 0.0, "cosine", 0.1, 0.1), measure_every=20),), (60,))
STAGES = (StageDesign(4, 1, 8), StageDesign(4, 3, 6))
HYBRID = FrameDesign("hnerv", 2, 3, 8, STAGES, head_kernel=3, embedding=2)
TIMED = FrameDesign("nerv", 2, 3, 8, STAGES, levels=4, hidden=8)


def frames(count: int = 5) -> Tensor:
    """A bar that moves, (count, 3, 32, 48)."""
    pixels = torch.full((count, 3, 32, 48), 40, dtype=torch.uint8)
    for number in range(count):
        pixels[number, :, :, 6 * number : 6 * number + 12] = torch.tensor([200, 120, 60])[
            :, None, None
        ].to(torch.uint8)
    return pixels


class OnAGrid:
    """To multiples of 2^-10, at 10 bits each."""

    def __call__(self, parameters: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], float]:
        decoded = {name: self.rounded(name, value) for name, value in parameters.items()}
        return decoded, 10.0 * sum(value.numel() for value in parameters.values())

    def rounded(self, name: str, value: Tensor) -> Tensor:
        return value + (torch.round(value.detach() * 1024) / 1024 - value.detach())


def fitting(design: FrameDesign = HYBRID, recipe: FrameRecipe | None = None) -> FrameFitting:
    torch.manual_seed(3)
    network = design.build()
    encoder = ConvNeXtEncoder((4, 4), (4, 2)) if design.embedding else None
    return FrameFitting(network, frames(), OnAGrid(), recipe or FrameRecipe(), encoder)


@pytest.mark.parametrize("design", [HYBRID, TIMED])
def test_a_video_is_fitted_and_charged_for_all_that_is_sent(design: FrameDesign) -> None:
    own = fitting(design)
    run = fit(own, SCHEDULE, Budget(steps=60))
    assert run.start is not None and run.figures is not None
    assert run.figures.psnr > run.start.psnr + 2
    sent = sum(value.numel() for value in design.build().parameters())
    sent += len(frames()) * 2 * 2 * 3 if design.embedding else 0
    assert run.figures.bpp == pytest.approx(10 * sent / (5 * 32 * 48))
    assert (EMBEDDING in own.sent()) == bool(design.embedding)


def test_an_epoch_has_each_frame_once_but_for_what_is_left_of_it() -> None:
    own = fitting()
    for epoch in range(3):
        seen = [int(n) for step in (2 * epoch, 2 * epoch + 1) for n in own.batch_at(step)]
        assert len(set(seen)) == 4
    orders = {tuple(own.batch_at(2 * epoch).tolist()) for epoch in range(10)}
    assert len(orders) > 3
    # A batch larger than the video is the video.
    assert sorted(fitting(recipe=FrameRecipe(batch=9)).batch_at(7).tolist()) == [0, 1, 2, 3, 4]


def test_times_and_optimisers_are_the_recipe_s() -> None:
    boosted = fitting(TIMED, FrameRecipe("l1-ssim", 1, "adan", "ends"))
    assert float(boosted.recipe.times(torch.tensor(4), 5)) == 1.0
    assert float(FrameRecipe().times(torch.tensor(4), 5)) == pytest.approx(0.8)
    assert fit(boosted, SCHEDULE, Budget(steps=20)).figures is not None
    for wrong in ({"optimiser": "sgd"}, {"batch": 0}, {"distortion": "taste"}):
        with pytest.raises(InvalidInputError):
            FrameRecipe(**wrong)


def test_a_broken_fit_goes_on_to_the_same_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fitting()
    fit(whole, SCHEDULE, Budget(steps=30))
    monkeypatch.setattr("kodec.codecs.fitted.fitting.SAVE_EVERY", 0.0)
    store = FitFile(tmp_path / "fit", {})

    def stop(done: int, total: int, label: str) -> None:
        if done == 11:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fit(fitting(), SCHEDULE, Budget(steps=30), stop, store=store)
    again = fitting()
    run, optimiser = store.load(again, SCHEDULE)
    assert run.done == 10
    fit(again, SCHEDULE, Budget(steps=30), store=store, begun=(run, optimiser))
    for name, value in whole.values.items():
        assert torch.equal(value, again.values[name]), name
