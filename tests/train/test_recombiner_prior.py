"""Training of RECOMBINER's prior: pictures get better, the rate comes to its budget."""

import pytest
import torch

from kodec.codecs import Recombiner
from kodec.codecs.fitted.priors.recombiner import LEVELS
from kodec.codecs.fitted.priors.sample_plan import COST_UNIT
from kodec.native import InvalidInputError
from kodec.train.recombiner_prior import PriorTraining, Round, train_prior
from small_recombiner import waves


def test_the_prior_comes_to_its_rate_and_describes_the_pictures() -> None:
    torch.manual_seed(0)
    model = Recombiner(hidden=[8], fourier=4, encoding=[4, 4, 4], side=16)
    rounds: list[Round] = []
    x = waves(4, 32, 32)
    train_prior(model, x, PriorTraining(8, 15, bpp=0.6, rate=4e-3, batch=4), rounds.append)
    assert len(rounds) == 8 and rounds[-1].psnr > rounds[0].psnr + 3
    assert rounds[-1].bpp < 0.7 * rounds[0].bpp
    rows = model.rows(model.layout(32, 32))
    total = sum(int(model.prior(level).costs.sum()) * rows[level] for level in LEVELS)
    # The prior is that of the last posteriors, beside which their rate is a bit lower.
    assert 0.5 * rounds[-1].bpp < total / COST_UNIT / 32**2 < 1.1 * rounds[-1].bpp
    for level in LEVELS:
        assert (model.prior(level).scale > 0).all()


def test_crops_are_whole_groups() -> None:
    with pytest.raises(InvalidInputError, match="multiples of 64"):
        train_prior(Recombiner(), torch.zeros(1, 3, 64, 96), PriorTraining(1, 1, 0.5))
