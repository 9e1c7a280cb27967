"""Cool-chic's latents through a port, by the integer networks that are in the file."""

from collections.abc import Sequence

from kodec.entropy import Grid, GridLatents, IntegerArm, IntegerIfce, SteppedLayer

from .cool_chic_architecture import ARM_LAYERS, IFCE_GRIDS, CoolChicArchitecture
from .cool_chic_parameters import IntegerNetworks


def grid_latents(
    architecture: CoolChicArchitecture, grids: Sequence[Grid], networks: IntegerNetworks
) -> GridLatents:
    """Raises `InvalidInputError` for networks whose sums may be too large to be exact."""

    def layer(name: str) -> SteppedLayer:
        part = name.split(".")[0]
        return SteppedLayer(
            networks.integers[f"{name}.weight"].long(),
            networks.integers[f"{name}.bias"].long(),
            networks.exponents[f"{part}.weight"],
            networks.exponents[f"{part}.bias"],
        )

    count = IFCE_GRIDS if architecture.features else 0
    ifce = {level: IntegerIfce(layer(f"ifce.{level}")) for level in range(count)}
    arm = IntegerArm(
        [layer(f"arm.hidden.{number}") for number in range(ARM_LAYERS)],
        layer("arm.output"),
        layer("arm.branch"),
        architecture.neighbours,
        max((network.bound for network in ifce.values()), default=0),
    )
    return GridLatents(grids, arm, ifce)
