"""Rate-distortion training of codecs of sequences, unrolled over clips."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from kodec.codecs.sequences.sequence_model import FrameStep, SequenceModel, State
from kodec.codecs.sequences.structures import Structure
from kodec.entropy import RateMeter, SymbolWriter
from kodec.native import InvalidInputError

from .codec_training import CodecTraining
from .phases import Phase, Phases
from .running_means import RunningMeans
from .unrolling import UnrolledStep, unroll


class SequenceRateDistortion(CodecTraining[SequenceModel]):
    """Training of codecs of sequences on clips; objective and options: see `CodecTraining`.

    A clip is coded step by step as a file is, from a refresh on, and gradients go back through the
    states that steps leave. Its loss is the mean over its frames of
    w (bpp + lambda * distortion) / sqrt(lambda), lambda being the one of the step's own quality.

    Args:
        codec: the codec to train.
        phases: how many frames clips have, and what gradients pass, over the run.
        structure: name of the coding structure; by default the codec's own.
        offsets: of qualities, see `Structure`: by level of a hierarchy, in turn in low delay.
        frame_weights: w of the frames of a clip in display order, in turn.
        options: those of `CodecTraining`.
    """

    def __init__(
        self,
        codec: SequenceModel,
        phases: list[Phase],
        structure: str | None = None,
        offsets: tuple[int, ...] = (0,),
        frame_weights: tuple[float, ...] = (1.0,),
        **options: Any,
    ) -> None:
        super().__init__(codec, **options)
        self.phases = Phases(phases)
        self.structure = Structure(structure or codec.structure, tuple(offsets))
        if self.structure.references > max(codec.reference_counts):
            raise InvalidInputError(
                f"model.structure: {self.structure.name} has {self.structure.references} "
                f"references, the codec takes {max(codec.reference_counts)}: name another"
            )
        if any(offsets) and not codec.variable_rate:
            raise InvalidInputError(
                "model.offsets are for codecs of variable rate: leave them away"
            )
        self.frame_weights = _checked_weights(frame_weights)
        self._phase: Phase | None = None

    def training_step(self, x: Tensor, batch_idx: int) -> Tensor:
        """One step's loss on clips (N, T, 3, H, W); logs bpp per stream, PSNR, loss and speed."""
        if x.ndim != 5:
            raise InvalidInputError(
                "sequences are trained on clips, and the data are pictures: let the config's data "
                "be kodec.train.ClipData"
            )
        last_part = self._last_part(batch_idx)
        phase = self._enter_phase()
        n, count, _, h, w = x.shape
        bits: dict[str, Tensor] = {}

        def code(frames: Tensor, step: FrameStep) -> tuple[Tensor, State]:
            if phase.checkpointing:
                x_hat, found, state = checkpoint(self._coded, frames, step, use_reentrant=False)
            else:
                x_hat, found, state = self._coded(frames, step)
            spent.append(torch.stack(list(found.values())).sum(0))
            for name, value in found.items():
                bits[name] = bits[name] + value if name in bits else value
            return x_hat, state

        spent: list[Tensor] = []
        losses, errors = [], []
        for coded in unroll(
            self.codec,
            x,
            self._draw_qualities(self._samples(batch_idx, n)),
            self.structure,
            code,
            phase.detach,
        ):
            losses.append(self._loss(coded, spent[-1]) * coded.step.frames / count)
            errors.append((coded.frames - coded.x_hat.detach().float()).square().mean((2, 3, 4)))
        loss = torch.stack(losses).sum()
        pixels = count * h * w
        psnr = -10 * torch.log10(torch.cat(errors, dim=1)).mean()
        figures = {"loss": loss, "bpp": torch.stack(spent).sum(0).mean() / pixels, "psnr": psnr}
        figures |= {f"bpp_{name}": value.mean() / pixels for name, value in bits.items()}
        self._losses.add(loss, self.global_step)
        self._record(figures, n * count, last_part)
        return loss

    def _coded(self, frames: Tensor, step: FrameStep) -> tuple[Tensor, dict[str, Tensor], State]:
        """One step: frames as the decoder sees them, bits (N,) by stream, the state.

        The meter begins and ends here, so that the step can be computed anew on the way back.
        """
        port = RateMeter(training=True)
        x_hat, state = self.codec.code(frames, step, port)
        return x_hat, port.bits, state

    def _loss(self, coded: UnrolledStep, bits: Tensor) -> Tensor:
        """Of one step: the mean over samples and frames."""
        n, count, _, h, w = coded.frames.shape
        lam = self.objective.lambdas(coded.quality)
        distortions = self.objective.distortions(
            coded.frames.flatten(0, 1), coded.x_hat.float().flatten(0, 1)
        )
        bpp = bits / (count * h * w)
        weight = self.frame_weights[coded.step.first % len(self.frame_weights)]
        costs = (bpp + lam * distortions.reshape(n, count).mean(1)) / lam.sqrt()
        return weight * costs.mean()

    def _enter_phase(self) -> Phase:
        """The present phase; what is logged is never the mean over two of them."""
        phase = self.phases.at(self.global_step)
        if self._phase not in (None, phase):
            self._meter = RunningMeans()
        self._phase = phase
        return phase

    def _rate_factor(self, step: int) -> float:
        return self.phases.at(step).learning_rate

    def _write(self, codec: SequenceModel, x: Tensor, quality: Tensor) -> tuple[Tensor, int]:
        sizes: list[int] = []

        def code(frames: Tensor, step: FrameStep) -> tuple[Tensor, State]:
            writer = SymbolWriter(len(frames))
            coded = codec.code(frames, step, writer)
            sizes.extend(len(stream) for stream in writer.finish())
            return coded

        x_hat = torch.empty_like(x)
        for coded in unroll(codec, x, quality, self.structure, code):
            first = coded.step.first
            x_hat[:, first : first + coded.step.frames] = coded.x_hat
        return x_hat, sum(sizes)


def _checked_weights(weights: Sequence[float]) -> tuple[float, ...]:
    if not weights or not all(math.isfinite(w) and w >= 0 for w in weights) or not any(weights):
        raise InvalidInputError("model.frame_weights are numbers of 0 or more, not all of them 0")
    return tuple(float(weight) for weight in weights)
