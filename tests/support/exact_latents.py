"""A latent model of integer layers."""

import torch
from torch import Tensor, nn

from kodec.entropy import Conditions, ExactAutoregression, ScaleTables, SymbolPort, whole_blocks
from kodec.entropy.contexts.positions import front_positions, to_grid, to_tokens


class ExactRaster(nn.Module):
    """Rounded latents (N, `channels`, h, w), predicted from those above and to the left."""

    exact = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        tables = ScaleTables(guard=0.0)
        self.order = ExactAutoregression(channels, [(0, -1), (1, 0)], tables, widths=(8,))

    def symbols(self, h: int, w: int) -> int:
        return self.channels * h * w

    def hyper_latents(self, y: Tensor, cond: Conditions) -> None:
        pass

    def code(
        self, y: Tensor | None, cond: Conditions, port: SymbolPort, z: Tensor | None = None
    ) -> Tensor:
        n, _, h, w = cond.latent_shape
        fronts = whole_blocks(front_positions(h, w, 1, torch.device("cpu")))
        tokens = None if y is None else to_tokens(y)
        return to_grid(port.scan("y", tokens, fronts, self.order.step(n, h, w)), h, w)
