"""SOAP against steps of its authors' code, as Cool-chic runs it."""

import copy
import zlib

import numpy as np
import pytest
import torch

from cool_chic_reference import arrays
from kodec.codecs.fitted.grid_networks.soap import Soap

SHAPES = {"conv": (12, 7, 1, 1), "conv3": (3, 3, 3, 3), "lin": (20, 20), "bias": (20,)}


def gradient(name: str, step: int, shape: tuple[int, ...]) -> torch.Tensor:
    """The reference's: its start value is that of step -1."""
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(f"{name}.{step}".encode())))
    return torch.from_numpy(rng.uniform(-1, 1, shape).astype(np.float32))


@pytest.mark.parametrize("every", [1, 10])
def test_steps(every: int) -> None:
    content = arrays()
    values = {name: gradient(name, -1, shape) for name, shape in SHAPES.items()}
    values["latent"] = gradient("latent", -1, (1, 1, 8, 8)).flatten()
    networks = [value for name, value in values.items() if name != "latent"]
    optimiser = Soap(
        [
            {"params": networks, "lr": 1e-2, "decay": 0.01, "every": every},
            {"params": [values["latent"]], "lr": 1e-2, "betas": (0.9, 0.999)},
        ]
    )
    for step in range(25):
        for name, value in values.items():
            size = 1.0 if name == "latent" else 1 + np.sin(step) / 2
            value.grad = gradient(name, step, tuple(value.shape)) * size
        optimiser.step()
        for name, value in values.items():
            key = f"soap/freq{every}/step{step}/{name}"
            if name == "latent":
                key = f"soap/latent/step{step}"
            if key in content:
                wanted = torch.from_numpy(content[key]).flatten()
                error = (value.flatten() - wanted).abs().max()
                assert error <= 1e-4 * wanted.abs().max(), key


def test_state_goes_on() -> None:
    def run(value: torch.Tensor, optimiser: Soap, steps: range) -> None:
        for step in steps:
            value.grad = gradient("conv", step, (12, 7, 1, 1))
            optimiser.step()

    whole = gradient("conv", -1, (12, 7, 1, 1))
    optimiser = Soap([{"params": [whole]}])
    run(whole, optimiser, range(12))
    broken = whole.clone()
    resumed = Soap([{"params": [broken]}])
    resumed.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    run(broken, resumed, range(12, 30))
    run(whole, optimiser, range(12, 30))
    assert torch.equal(broken, whole)
