"""NIRVANA: groups in turn, each begun from the decoded one before and coded against it."""

import numpy as np
import torch

from kodec.codecs.fitted import Budget, Clip, FittedCodec, Goal, Moment, Phase, read_fitted
from kodec.codecs.fitted.frame_networks.nirvana_model import NIRVANA, GroupFitting, is_whole
from kodec.codecs.model_size import ModelSize
from kodec.entropy import RateMeter

SIZE = ModelSize(20_000)


def clip(frames: int = 7) -> Clip:
    """A slope that brightens: seven frames are two groups of three and one frame."""
    slope = np.linspace(20, 200, 40)[None, None, :, None]
    steps = 3 * np.arange(frames)[:, None, None, None]
    return Clip(np.broadcast_to(slope + steps, (frames, 36, 40, 3)).astype(np.uint8))


def fitting() -> GroupFitting:
    found = NIRVANA.fitting(clip(), Goal(size=SIZE))
    assert isinstance(found, GroupFitting)
    return found


def test_groups_take_turns_and_the_first_takes_two() -> None:
    own = fitting()
    groups = [own.group_at(step, 80)[0] for step in range(80)]
    assert groups == sorted(groups) and [groups.count(n) for n in range(3)] == [40, 20, 20]
    firsts = [step for step in range(80) if own.group_at(step, 80)[1] == 0]
    assert firsts == [0, 40, 60]


def test_a_group_begins_as_the_one_before_is_decoded() -> None:
    own = fitting()
    optimiser, phase = own.optimiser(), Phase()
    for group in optimiser.param_groups:
        group["lr"] = 1e-3
    for step in range(5):
        optimiser.zero_grad()
        own.descend(Moment(phase, 0.0, step, 8))
        if step == 4:
            break
        optimiser.step()
    before = own.result()[1]
    for name in own.model.layout:
        begun = own.values[f"1.{name}"].detach()
        coded = before[f"0.{name}"]
        expected = coded.integers.float() if is_whole(name) else coded.dequantise()
        torch.testing.assert_close(begun, expected)


def test_a_file_s_groups_are_differences_where_that_is_shorter() -> None:
    coded = FittedCodec("nirvana", Budget(steps=16), size=SIZE).fit(clip())
    found = read_fitted(coded.data)
    assert found.model.cost().packets == 3
    for number in (6, 0, 4):
        shown = found.reconstruction.frame(number)
        assert shown.tobytes() == coded.reconstruction.frame(number).tobytes()
    model, bits = found.model, []
    assert isinstance(model, NIRVANA)
    for forgotten in (False, True):
        meter = RateMeter(training=False)
        for packet in range(3):
            if forgotten:
                model.forget()
            model.code(found.parameters, meter, packet)
        bits.append(sum(float(part.sum()) for part in meter.bits.values()))
    assert bits[0] < 0.8 * bits[1]
