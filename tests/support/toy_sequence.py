"""A model of sequences that takes no time: each frame from the mean of what it refers to."""

import torch
from torch import Tensor, nn

from kodec.codecs.sequences.sequence_model import EIGHT_BITS, FrameStep, SequenceModel, State
from kodec.entropy import (
    Conditions,
    GainUnit,
    MeanScaleHyperprior,
    SymbolPort,
    Within,
    as_role,
    encoder_only,
)

_STRIDE = 8


class ToySequence(SequenceModel):
    """Codes the difference from the mean of the references, as an autoencoder of one layer.

    references: how many a step may have. variable: whether it takes a quality. frozen: whether what
    codes refreshes is left as it is.
    """

    def __init__(
        self,
        channels: int = 6,
        references: int = 1,
        group: int = 1,
        variable: bool = True,
        frozen: bool = False,
    ) -> None:
        super().__init__("guarded")
        self.reference_counts = tuple(range(references + 1))
        self.structure = "hierarchical" if references > 1 else "low-delay"
        self.group = group
        self.intra = _Residual(channels, variable).requires_grad_(not frozen)
        self.inter = _Residual(channels, variable)

    @property
    def variable_rate(self) -> bool:
        return self.inter.gain is not None

    def code(self, x: Tensor | None, step: FrameStep, port: SymbolPort) -> tuple[Tensor, State]:
        n, h, w = step.size
        coder, name = (self.inter, "inter") if step.references else (self.intra, "intra")
        expected = torch.tensor(0.5)
        if step.references:
            expected = torch.stack([state["frame"] for state in step.references]).mean(0)
        within = Within(port, name)
        shown = []
        for t in range(step.frames):
            residual = None if x is None else x[:, t] - expected.to(x)
            shown.append(expected + coder.code(residual, (n, h, w), step.quality, within))
            expected = shown[-1]
        state = {"frame": self.snap(port, "frame", shown[-1], EIGHT_BITS)}
        return torch.stack([*shown[:-1], state["frame"]], dim=1), state

    def symbols(self, step: FrameStep) -> range:
        n, h, w = step.size
        pictures = step.frames * self.intra.latents.symbols(-(-h // _STRIDE), -(-w // _STRIDE))
        return range(pictures + 3 * h * w, pictures + 3 * h * w + 1)


class _Residual(nn.Module):
    def __init__(self, channels: int, variable: bool) -> None:
        super().__init__()
        self.analysis = encoder_only(nn.Conv2d(3, channels, _STRIDE, _STRIDE))
        self.latents = MeanScaleHyperprior(channels, 4)
        self.synthesis = nn.ConvTranspose2d(channels, 3, _STRIDE, _STRIDE)
        self.gain = as_role("shared", GainUnit(channels)) if variable else None

    def code(
        self,
        x: Tensor | None,
        size: tuple[int, int, int],
        quality: Tensor | None,
        port: SymbolPort,
    ) -> Tensor:
        n, h, w = size
        shape = torch.Size((n, self.latents.channels, -(-h // _STRIDE), -(-w // _STRIDE)))
        y = None
        if x is not None:
            padding = (0, -w % _STRIDE, 0, -h % _STRIDE)
            y = self.analysis(nn.functional.pad(x, padding)).float()
        with torch.autocast("cpu", enabled=False):
            if y is not None and self.gain is not None and quality is not None:
                y = self.gain.apply_gain(y, quality)
            y_hat = self.latents.code(y, Conditions(shape, quality), port)
            if self.gain is not None and quality is not None:
                y_hat = self.gain.remove_gain(y_hat, quality)
        out: Tensor = self.synthesis(y_hat)
        return out[..., :h, :w]
