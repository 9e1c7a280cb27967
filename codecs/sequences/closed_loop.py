"""Frames predicted from decoded ones: what the closed loops share, whatever they predict by.

    x --keyframe--> x_hat                                                        (no references)

    x, references --motion--> fields --(references)--> prediction                    (otherwise)
    x - prediction --residual--(beside the motion latents)--> + prediction --> x_hat

Each arrow's name is an autoencoder with a hyperprior of its own. What a frame leaves to others is
the picture that the decoder shows.
"""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kodec.codecs.coded_transform import CodedLatents, CodedTransform, Latents
from kodec.codecs.container import Portability
from kodec.entropy import Conditions, GainUnit, MeanScaleHyperprior, SymbolPort, Within, as_role
from kodec.models import RectifiedAnalysis, RectifiedSynthesis
from kodec.models.motion import scale_space_volume
from kodec.native import InvalidInputError

from .sequence_model import EIGHT_BITS, FrameStep, SequenceModel, State

PLANES = 3
"""Red, green, blue."""
MAX_SIGMA = 16.0


class ClosedLoop(SequenceModel):
    """Three autoencoders with hyperpriors, of keyframes, motion and residuals.

    width: of the convolutions. latents: channels of each autoencoder's latents. hyper: of the
    hyper-latents. levels, sigma: see `scale_space_volume`. gain: of `GainUnit`s of all three, at
    the lowest and the highest quality before training; None for a fixed rate. lagrangian: see
    `LocationScale`, at the encoder alone. portability: see `CodingModel`. By default as published
    for scale-space flow.

    A kind of it says `start`, and what to `predict`. Its last count of references is how many a
    prediction is made of; where a step has fewer, the last of them stands in for the others.

    Whatever enters the picture that later frames read is shared: in float64, unless the class is
    local. There the picture is what the synthesis gives; else it is in 8 bits.
    """

    start: tuple[float, ...]
    """What motion says of each pixel before training, a channel each: to take it as it was."""

    def __init__(
        self,
        width: int = 128,
        latents: int = 192,
        hyper: int = 192,
        levels: int = 5,
        sigma: float = 1.5,
        gain: tuple[float, float] | None = None,
        lagrangian: float = 0.0,
        portability: Portability = "guarded",
    ) -> None:
        super().__init__(portability)
        self.levels, self.sigma = levels, sigma

        def autoencoder(inputs: int, outputs: int, beside: int = 0) -> CodedTransform:
            made = CodedTransform(
                RectifiedAnalysis(inputs, width, latents),
                MeanScaleHyperprior(
                    latents,
                    hyper,
                    networks="ssf2020",
                    scales="linear",
                    prior_filters=(3, 3, 3, 3),
                    centred_prior=True,
                    lagrangian=lagrangian,
                ),
                RectifiedSynthesis(outputs, width, latents + beside),
                None if gain is None else GainUnit(latents, *gain),
            )
            as_role("shared", made.synthesis)
            if made.gain is not None:
                as_role("shared", made.gain)
            return made

        self.keyframe = autoencoder(PLANES, PLANES)
        self.motion = autoencoder(PLANES * (1 + self.reads), len(self.start))
        self.residual = autoencoder(PLANES, PLANES, beside=latents)
        self._start_still()
        self.check_exact()
        if levels < 1 or self.stride % 2 ** (levels - 1) or not 0 < sigma <= MAX_SIGMA:
            raise InvalidInputError(
                f"a scale space has 1 to 8 levels and a sigma up to {MAX_SIGMA:g}, not {levels} "
                f"and {sigma:g}"
            )

    def _start_still(self) -> None:
        """Motion at random would lead training off before it knows what a prediction is."""
        *_, last = self.motion.synthesis.modules()
        assert isinstance(last, nn.ConvTranspose2d) and last.bias is not None
        with torch.no_grad():
            last.weight.zero_()
            last.bias.copy_(torch.tensor(self.start))

    @property
    def reads(self) -> int:
        """How many references a prediction is made of."""
        return self.reference_counts[-1]

    @property
    def variable_rate(self) -> bool:
        """Whether it takes a quality."""
        return self.keyframe.variable_rate

    @property
    def stride(self) -> int:
        """What the sides of frames are padded to multiples of: a hyper-latent's pixels."""
        return self.keyframe.stride * int(self.keyframe.latents.hyper_stride)  # type: ignore[arg-type]

    def encoder_only_arguments(self) -> dict[str, tuple[str, ...]]:
        """Its parts have no sections in the config."""
        return {"": ("lagrangian",)}

    @abstractmethod
    def predict(self, references: Sequence[Tensor], fields: Tensor) -> Tensor:
        """References (N, 3, H, W), `reads` of them, and what motion says (N, channels, H, W).

        Returns the prediction (N, 3, H, W), in their precision. Both sides run it.
        """

    def volume(self, reference: Tensor) -> Tensor:
        """The reference's scale space, see `scale_space_volume`."""
        return scale_space_volume(reference, self.sigma, self.levels)

    def code(self, x: Tensor | None, step: FrameStep, port: SymbolPort) -> tuple[Tensor, State]:
        """Pass one frame through the port: a keyframe where the step has no references.

        Raises `InvalidInputError` for more references than it reads, and for several frames.
        """
        if step.frames != self.group or len(step.references) not in self.reference_counts:
            raise InvalidInputError(
                f"this model codes a frame at a time from at most {self.reads} others, not "
                f"{step.frames} from {len(step.references)}"
            )
        frame = None if x is None else self._pad(x[:, 0])
        decoded = (self._inter if step.references else self._intra)(frame, step, port)
        _, height, width = step.size
        x_hat = self._shown(decoded[..., :height, :width], port)
        # As published, errors of a prediction teach the keyframe nothing.
        kept = x_hat if step.references else x_hat.detach()
        return x_hat[:, None], {"frame": kept}

    def symbols(self, step: FrameStep) -> range:
        """Latents, and in 8 bits the numbers of the picture's grey levels, which cost nothing."""
        _, height, width = step.size
        parts = (self.motion, self.residual) if step.references else (self.keyframe,)
        counts = [part.symbols(self._latent_shape(part, step)) for part in parts]
        snapped = self.snapped(PLANES * height * width)
        least, most = sum(c[0] for c in counts), sum(c[-1] for c in counts)
        return range(least + snapped, most + snapped + 1)

    def _intra(self, frame: Tensor | None, step: FrameStep, port: SymbolPort) -> Tensor:
        coded = self._coded("keyframe", self.keyframe, frame, step, port)
        return self._planes(self.keyframe, coded, step)

    def _inter(self, frame: Tensor | None, step: FrameStep, port: SymbolPort) -> Tensor:
        references = [self._pad(state["frame"]) for state in step.references]
        references += references[-1:] * (self.reads - len(references))
        seen = None
        if frame is not None:
            seen = torch.cat([frame, *(reference.to(frame) for reference in references)], dim=1)
        motion = self._coded("motion", self.motion, seen, step, port)
        fields = self._planes(self.motion, motion, step)
        with self.uncast():
            prediction = self.predict(references, fields)
        error = None if frame is None else frame - prediction.to(frame)
        residual = self._coded("residual", self.residual, error, step, port)
        beside = self.motion.without_gain(motion, step.quality)
        return prediction + self._planes(self.residual, residual, step, beside)

    def _coded(
        self, name: str, part: CodedTransform, x: Tensor | None, step: FrameStep, port: SymbolPort
    ) -> CodedLatents:
        """Padded planes through an autoencoder's analysis and the port."""
        cond = Conditions(self._latent_shape(part, step), step.quality)
        latents: Latents | None = None if x is None else part.analyse(x, cond)
        return part.code_latents(latents, cond, Within(port, name))

    def _planes(
        self,
        part: CodedTransform,
        coded: CodedLatents,
        step: FrameStep,
        beside: Tensor | None = None,
    ) -> Tensor:
        """What an autoencoder's synthesis makes of it; autocasting ends here."""
        return part.synthesise(coded, step.quality, beside).to(part.precision)

    def _shown(self, x_hat: Tensor, port: SymbolPort) -> Tensor:
        """The frame as the decoder shows it and others read it; in training as it is."""
        if not self.training and self.portability != "local":
            x_hat = x_hat.clamp(0, 1)
        return self.snap(port, "frame", x_hat, EIGHT_BITS)

    def _pad(self, x: Tensor) -> Tensor:
        """Replicate the right and bottom edges up to a multiple of the stride."""
        h, w = x.shape[-2:]
        return nn.functional.pad(x, (0, -w % self.stride, 0, -h % self.stride), mode="replicate")

    def _latent_shape(self, part: CodedTransform, step: FrameStep) -> torch.Size:
        """Of padded frames."""
        n, height, width = step.size
        return part.latent_shape(n, height + -height % self.stride, width + -width % self.stride)
