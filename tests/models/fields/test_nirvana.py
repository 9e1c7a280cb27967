"""NIRVANA beside its authors': with their weights the same patches, as many parameters."""

import torch

from fitted_references import assert_near, outputs, published_weights, sizes
from kodec.models.fields import PatchDesign, PatchNetwork


def fill(network: PatchNetwork) -> None:
    """Fill the network as the reference was: integers, by their largest, times a scale."""
    stored = outputs("nirvana-nervpp")
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    state = {}
    weights = published_weights("nirvana")
    for number in range(3):
        scale = (
            stored[f"nirvana/scale_layer{number + 1}"] / stored[f"nirvana/div_layer{number + 1}"]
        )
        weight = weights[f"stem.{number}.linear.weight"]
        # By the rule the amplitude is that of one value a row; here it is 200, or 3.
        amplitude = (3.0 if number else 200.0) / 3**0.5
        weight = weight * amplitude * torch.from_numpy(scale)
        state[f"stem.{number}.weight"] = weight.view(shapes[f"stem.{number}.weight"])
        state[f"stem.{number}.bias"] = weights[f"stem.{number}.linear.bias"]
    for name, ours in (("nerv_block.0", "up"), ("last_layer", "head")):
        for kind in ("weight", "bias"):
            state[f"{ours}.{kind}"] = weights[f"{name}.{kind}"]
    network.load_state_dict(state)


@torch.no_grad()
def test_patches_are_the_authors() -> None:
    stored = outputs("nirvana-nervpp")
    network = PatchDesign(side=16, frames=3, width=24, depth=3, channels=8).build()
    fill(network)
    centres = torch.from_numpy(stored["nirvana/x"])
    assert_near(network.codes, stored["nirvana/pos"])  # type: ignore[arg-type]
    assert_near(network.features(centres), stored["nirvana/stem"])
    assert_near(network(centres), stored["nirvana/y"])


def test_the_published_size_has_the_authors_count() -> None:
    with torch.device("meta"):
        network = PatchDesign().build()
    entry = sizes()["more"]["nirvana_512x3_patch32_group3"]
    # A learned scale a sine layer is the quantiser's, not the network's.
    scales = 3
    assert sum(value.numel() for value in network.parameters()) + scales == entry["params"]


@torch.no_grad()
def test_patches_begin_at_colours() -> None:
    network = PatchDesign(side=8, frames=2, width=8, depth=2, channels=2).build()
    network.head.weight.zero_()
    network.begin_at(torch.tensor([0.25, 0.5, 0.75]))
    patches = network(torch.zeros(1, 2))
    assert torch.equal(patches.mean((0, 1, 3, 4)), torch.tensor([0.25, 0.5, 0.75]))
