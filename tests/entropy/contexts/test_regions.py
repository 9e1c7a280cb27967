"""Means over regions and back, beside sums written out."""

import torch

from kodec.entropy.contexts.regions import GridRegions, LabelledRegions


def test_labelled_regions_are_averaged_and_spread_item_by_item() -> None:
    torch.manual_seed(0)
    # The second item has four regions, the first two, under ids as panoptic segmentations have.
    labels = torch.full((2, 16, 24), 7_654_321)
    labels[0, 8:] = 9
    labels[1, :8, :12], labels[1, 8:, :12], labels[1, 8:, 12:] = 0, 16_777_215, 5
    features = torch.randn(2, 3, 4, 6)
    regions = LabelledRegions(labels, 4, 6)
    means = regions.means(features)
    assert means.shape == (2, 3, 4, 1) == (2, 3, *regions.shape)
    assert regions.present is not None
    assert regions.present[:, 0, :, 0].tolist() == [[True, True, False, False], [True] * 4]
    assert not means[0, :, 2:].any()
    spread = regions.spread(means)
    assert spread.shape == features.shape
    for item in range(2):
        small = labels[item, ::4, ::4]
        for label in small.unique():
            here = small == label
            expected = features[item][:, here].mean(dim=1, keepdim=True)
            assert torch.allclose(spread[item][:, here], expected.expand(-1, int(here.sum())))


def test_regions_between_the_positions_are_none() -> None:
    labels = torch.zeros(1, 8, 8, dtype=torch.int64)
    labels[0, 1:3, 1:3] = 1
    assert LabelledRegions(labels, 8, 8).shape == (2, 1)
    assert LabelledRegions(labels, 2, 2).shape == (1, 1)


def test_a_grid_is_as_labels_of_its_cells_are() -> None:
    torch.manual_seed(0)
    features = torch.randn(1, 3, 8, 12)
    cells = torch.arange(8)[:, None] // 2 * 4 + torch.arange(12) // 3
    grid, labelled = GridRegions(4, 8, 12), LabelledRegions(cells[None], 8, 12)
    assert torch.allclose(grid.means(features).flatten(2), labelled.means(features).flatten(2))
    values = torch.randn(1, 2, 4, 4)
    assert torch.equal(grid.spread(values), labelled.spread(values.reshape(1, 2, 16, 1)))
