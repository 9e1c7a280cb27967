"""Region-adaptive transforms, and the blocks they are made of."""

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.swin_transformer import ShiftedWindowAttention as TorchvisionAttention

from kodec.models import RegionAdaptiveAnalysis, RegionAdaptiveSynthesis
from kodec.models.blocks import RegionAdaptive, ShiftedWindowAttention


def spread(prototypes: Tensor, h: int, w: int) -> Tensor:
    return nn.functional.interpolate(prototypes, (h, w))


def send(features: Tensor) -> Tensor:
    return spread(nn.functional.adaptive_avg_pool2d(features, 2), *features.shape[-2:])


def test_both_transforms_take_prototypes_and_learn() -> None:
    torch.manual_seed(0)
    analysis = RegionAdaptiveAnalysis(4, 6, heads=2, windows=(4, 2))
    synthesis = RegionAdaptiveSynthesis(4, 6, heads=2, windows=(4, 2))
    assert analysis.stride == synthesis.stride == 16
    for rows, columns in [(1, 1), (3, 5)]:
        x = torch.rand(2, 3, 16 * rows, 16 * columns)
        sent: list[Tensor] = []

        def remember(features: Tensor) -> Tensor:
            sent.append(send(features))
            return sent[-1]

        y = analysis(x, None, remember)
        assert y.shape == (2, 6, rows, columns) and sent[0].shape == (2, 4, 4 * rows, 4 * columns)
        x_hat = synthesis(y, None, sent[0])
        assert x_hat.shape == x.shape
    x_hat.square().sum().backward()
    for name, weight in [*analysis.named_parameters(), *synthesis.named_parameters()]:
        assert weight.grad is not None and weight.grad.isfinite().all(), name


@torch.no_grad()
def test_a_prototype_changes_its_own_region_alone() -> None:
    torch.manual_seed(0)
    block = RegionAdaptive(4, 3)
    # The gate looks at the whole picture: it would carry the change everywhere.
    block.gate = nn.Sequential(nn.Sigmoid())
    x, prototypes = torch.randn(1, 4, 16, 16), torch.randn(1, 3, 4, 4)
    changed = prototypes.clone()
    changed[..., 1, 2] += 1
    moved = block(x, spread(changed, 16, 16)) != block(x, spread(prototypes, 16, 16))
    rows, columns = moved.any(dim=1)[0].nonzero(as_tuple=True)
    # Its cell is rows 4..7 and columns 8..11; two 3x3 layers look one further each.
    assert rows.min() >= 2 and rows.max() <= 9 and columns.min() >= 6 and columns.max() <= 13
    assert moved[..., 4:8, 8:12].any(dim=1).all()


@pytest.mark.parametrize("size", [(8, 12), (16, 8), (7, 9)])
@torch.no_grad()
def test_shifted_windows_are_torchvisions(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    ours, theirs = ShiftedWindowAttention(6, 2, 4), TorchvisionAttention(6, [4, 4], [2, 2], 2)
    state = ours.state_dict()
    state["relative_position_bias_table"] = state.pop("bias")
    missing = theirs.load_state_dict(state, strict=False)
    assert missing.missing_keys == ["relative_position_index"] and not missing.unexpected_keys
    x = torch.randn(2, 6, *size)
    expected = x + theirs(x.movedim(1, -1)).movedim(-1, 1)
    # torchvision lets positions attend to the padding; away from it both are the same.
    h, w = (side if side % 4 == 0 else side - 5 for side in size)
    assert torch.allclose(ours(x)[..., :h, :w], expected[..., :h, :w], atol=1e-5)


@torch.no_grad()
def test_padding_is_not_seen() -> None:
    torch.manual_seed(0)
    attention = ShiftedWindowAttention(4, 2, 4)
    attention.qkv.bias.add_(1)
    x = torch.randn(1, 4, 1, 1)
    # Alone in its window, a position attends to itself.
    value = attention.qkv(x[..., 0, 0])[:, 8:]
    assert torch.allclose(attention(x)[..., 0, 0], x[..., 0, 0] + attention.proj(value), atol=1e-6)


def test_heads_divide_the_width() -> None:
    with pytest.raises(ValueError, match="3 heads"):
        ShiftedWindowAttention(8, 3, 4)
