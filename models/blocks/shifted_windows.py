"""Attention inside shifted windows, with a table of position biases."""

import torch
from torch import Tensor, nn

# What attention between parts of a window that are no neighbours gets added before the softmax.
APART = -100.0


class ShiftedWindowAttention(nn.Module):
    """x + attention inside windows shifted by half a window: (N, C, H, W) -> the same shape.

    heads: divides `channels`. window: positions each way, even; any H and W. Windows at the
    borders hold two parts that do not see each other, however small the picture: that is where
    torchvision's layer differs, which stops shifting in a picture of one window.

    Source: "Swin transformer: Hierarchical vision transformer using shifted windows" (2021); as a
    gate, without normalisation, "The devil is in the details: Window-based attention for image
    compression" (2022).
    """

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{heads} heads do not divide {channels} channels")
        self.heads = heads
        self.window = window
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.bias = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias, std=0.02)
        row, column = torch.arange(window**2) // window, torch.arange(window**2) % window
        down = row[:, None] - row + window - 1
        along = column[:, None] - column + window - 1
        # Which entry of the table each pair of positions uses.
        self.register_buffer("pairs", down * (2 * window - 1) + along, persistent=False)
        self.pairs: Tensor

    def _parts(self, size: int, padded: int) -> Tensor:
        """For each shifted row (or column), a number: equal where they may see each other."""
        shift = self.window // 2
        place = torch.arange(padded, device=self.pairs.device)
        part = (place >= padded - self.window).int() + (place >= padded - shift).int()
        return 2 * part + ((place + shift) % padded >= size).int()

    def _in_windows(self, x: Tensor) -> Tensor:
        """(N, H, W, ...) -> (N, windows, positions, ...)."""
        n, h, w, *rest = x.shape
        side = self.window
        x = x.reshape(n, h // side, side, w // side, side, *rest).transpose(2, 3)
        return x.reshape(n, -1, side**2, *rest)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        n, c, h, w = x.shape
        side, shift = self.window, self.window // 2
        padded = nn.functional.pad(x, (0, -w % side, 0, -h % side)).movedim(1, -1)
        rows, columns = padded.shape[1:3]
        windows = self._in_windows(padded.roll((-shift, -shift), (1, 2)))
        parts = self._parts(h, rows)[:, None] * 6 + self._parts(w, columns)
        part = self._in_windows(parts[None])[0]
        apart = (part[:, None, :, None] != part[:, None, None, :]) * APART
        mask = self.bias[self.pairs].movedim(-1, 0) + apart
        # (3, N, windows, heads, positions, channels of a head)
        q, k, v = self.qkv(windows).unflatten(-1, (3, self.heads, -1)).movedim(3, 0).transpose(3, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask.to(q))
        out = self.proj(mixed.transpose(2, 3).flatten(-2))
        out = out.reshape(n, rows // side, columns // side, side, side, c).transpose(2, 3)
        out = out.reshape(n, rows, columns, c).roll((shift, shift), (1, 2))
        total: Tensor = x + out[:, :h, :w].movedim(-1, 1)
        return total
