"""HiNeRV beside its authors': with their weights the same frames and patches."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fitted_references import assert_near, load_published, outputs, sizes
from kodec.models.fields import GridDesign, GridStageDesign, hinerv

SMALL = hinerv(
    (64, 128), 8, 24, (4, 2, 2), (4, 4), depths=(2, 2, 1), expansions=(4, 4, 1), local=(8, 4)
)


@torch.no_grad()
def test_frames_and_all_features_are_the_authors() -> None:
    stored = outputs("hinerv")
    network = SMALL.build()
    load_published(network, "hinerv")
    frames = torch.from_numpy(stored["frames"])
    assert_near(network.grids(frames[1:2])[:, None], stored["encoding"])
    found: dict[str, Tensor] = {}
    network.stem.register_forward_hook(
        lambda _part, _inputs, out: found.update(stem=out.permute(0, 2, 3, 1))
    )
    for number, stage in enumerate(network.stages):
        name = f"block{number}_out"
        stage.register_forward_hook(
            lambda _part, _inputs, out, name=name: found.update({name: out})
        )
    assert_near(network(frames)[:, :, None], stored["out"])
    for name, features in found.items():
        assert_near(features[1:2, None], stored[name])


@torch.no_grad()
def test_patches_are_the_authors_and_what_whole_frames_have_there() -> None:
    stored = outputs("hinerv")
    network = SMALL.build()
    load_published(network, "hinerv")
    for index, reference in zip(stored["patch_idx"], stored["patch_out"], strict=True):
        frame, row, column = (int(n) for n in index)
        frames = torch.tensor([frame])
        patch = network(frames, (row, column, 32))
        assert_near(patch[0, :, None], reference)
        whole = network(frames)[..., 32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
        torch.testing.assert_close(patch, whole, rtol=0, atol=3e-6)


@torch.no_grad()
@pytest.mark.parametrize("patch", [(0, 0, 16), (3, 7, 16), (1, 2, 32)])
def test_patches_agree_with_frames_at_edges_and_corners(patch: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    design = replace(SMALL, stages=(*SMALL.stages[:2], replace(SMALL.stages[2], depth=2)))
    network = design.build()
    frames = torch.tensor([0, 7])
    row, column, side = patch
    rows, columns = (slice(side * place, side * place + side) for place in (row, column))
    whole = network(frames)[..., rows, columns]
    torch.testing.assert_close(network(frames, patch), whole, rtol=0, atol=3e-6)


def parameters(network: nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def test_published_sizes_have_the_authors_counts_and_margins() -> None:
    for name, entry in sizes()["hinerv"].items():
        frames, height, width = entry["size"]
        strides = (5, 3, 2, 2) if height == 1080 else (5, 2, 2, 2)
        design = hinerv(
            (height, width),
            frames,
            entry["channels"],
            strides,
            (entry["base_grid"][0], entry["base_grid"][3]),
        )
        assert (design.rows, design.columns) == tuple(entry["base_grid"][1:3])
        margins = [entry["stem_paddings"][1], *(padding[1] for padding in entry["paddings"])]
        assert design.margins() == margins, name
        with torch.device("meta"):
            network = design.build()
        assert parameters(network) == entry["params"], name
        assert parameters(network.grids) == entry["base_grids"]
        local = sum(
            value.numel() for name, value in network.named_parameters() if ".local.levels" in name
        )
        assert local == entry["temporal_grids"]


def test_a_design_s_network_is_of_its_size() -> None:
    stage = GridStageDesign(4, 6, 1, 12, 5, ((2, 2),))
    design = GridDesign(5, 3, 4, ((2, 3),), 8, (stage,), stem=1)
    with torch.no_grad():
        frames = design.build()(torch.arange(5))
    assert frames.shape == (5, 3, *design.frame_size)


def test_the_cost_is_what_pytorch_counts_when_the_network_runs() -> None:
    network, counter = SMALL.build(), FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.tensor([3]))
    cost = SMALL.cost()
    assert cost.parameters == parameters(network)
    assert 2 * cost.macs == pytest.approx(counter.get_total_flops(), rel=0.01)
