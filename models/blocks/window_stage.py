"""Stages of shifted-window attention."""

from collections.abc import Sequence

from torch import Tensor, nn


class WindowStage(nn.Module):
    """x + Swin v2 blocks over x, every second one with shifted windows: (N, C, H, W), same shape.

    heads: divides `channels`. window: positions each way, 2 at least; any H and W, padded inside.
    drop_path: for each block, how often training leaves it out; its length is the depth.

    The blocks are torchvision's: cosine attention, normalisation behind each branch, continuous
    position bias. Sources: "Swin transformer V2: Scaling up capacity and resolution" (2022); the
    outer residual, "SwinIR: Image restoration using Swin transformer" (2021).
    """

    def __init__(self, channels: int, heads: int, window: int, drop_path: Sequence[float]) -> None:
        super().__init__()
        # Importing torchvision's models takes long, and most codecs don't need them.
        from torchvision.models.swin_transformer import SwinTransformerBlockV2

        if channels % heads:
            raise ValueError(f"{heads} heads do not divide {channels} channels")
        self.blocks = nn.Sequential(
            *(
                SwinTransformerBlockV2(
                    channels,
                    heads,
                    window_size=[window, window],
                    shift_size=[window // 2 * (i % 2)] * 2,
                    mlp_ratio=4.0,
                    stochastic_depth_prob=rate,
                )
                for i, rate in enumerate(drop_path)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        out: Tensor = x + self.blocks(x.movedim(1, -1)).movedim(-1, 1)
        return out
