"""What training a codec is, whatever it codes: objective, optimiser, checkpoints, checks."""

import contextlib
import copy
import difflib
import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from kodec.codecs import (
    HIGHEST_QUALITY,
    CodingModel,
    Objective,
    as_pixels,
    check_distortion,
    fill_from_model,
    find_model,
    first_not_finite,
)
from kodec.native import InvalidInputError, KodecError

from .finite import FiniteLosses, advice, checkpoint_tensors
from .numbered_batches import samples_of
from .resuming import check_resumable, regrouped
from .running_means import RunningMeans
from .schedule import WarmupStableDecay

Model = TypeVar("Model", bound=CodingModel)


class CodecTraining(lightning.LightningModule, Generic[Model]):
    """Minimises bpp + lambda * distortion over all qualities of a codec.

    Distortion: see `kodec.codecs.DISTORTIONS`. A quality is drawn for each sample, uniformly over
    0..63; lambda runs from `lambda_low` to `lambda_high` geometrically with it, and each sample's
    loss is divided by sqrt(lambda), so that all qualities learn at about the same pace. A
    fixed-rate codec uses `lambda_high` alone.

    What a step and a validation do is its subclasses': `RateDistortion`'s for pictures,
    `SequenceRateDistortion`'s for clips.

    Args:
        codec: the codec to train; parameters that ask for no gradient stay as they are.
        distortion: its name.
        lambda_low: lambda at quality 0.
        lambda_high: lambda at quality 63.
        learning_rate: of Adam, after warm-up.
        slow: parts of parameter names -> factor on their learning rate, such as {"linear": 0.1}; a
            part that is in no name raises `InvalidInputError`.
        warmup: steps of warm-up.
        warmup_start: fraction of the learning rate to warm up from, its logarithm then rising along
            half a cosine; 0 warms up linearly.
        decay: fraction of the run over which the rate falls linearly to zero.
        validation_qualities: qualities at which validation writes real streams.
        seed: of the quantisation noise and of the qualities drawn.
        start_from: an embedded model's name or a model file whose weights to start from, of the
            same codec; None starts anew.
        grown: the codec may have parts that the model of `start_from` has not; they start as those
            of a new codec do, most of which change nothing at first.
    """

    def __init__(
        self,
        codec: Model,
        distortion: str = "mse",
        lambda_low: float = 0.0006,
        lambda_high: float = 0.4,
        learning_rate: float = 1e-3,
        slow: Mapping[str, float] | None = None,
        warmup: int = 200,
        warmup_start: float = 0.0,
        decay: float = 0.25,
        validation_qualities: tuple[int, ...] = (8, 24, 40, 56),
        seed: int = 0,
        start_from: str | None = None,
        grown: bool = False,
    ) -> None:
        super().__init__()
        check_distortion(distortion)
        objective = Objective(distortion, float(lambda_low), float(lambda_high))
        if not codec.variable_rate:
            objective = replace(objective, lambda_low=objective.lambda_high)
        self.objective = objective
        if not all(0 <= q <= HIGHEST_QUALITY for q in validation_qualities):
            raise InvalidInputError(f"validation_qualities lie in 0..{HIGHEST_QUALITY}")
        if learning_rate <= 0 or seed < 0:
            raise InvalidInputError("learning_rate is above 0, and seed 0 or more")
        self.codec = codec
        self.start_from = start_from
        if start_from is not None:
            fill_from_model(codec, find_model(start_from), grown)
        self.learning_rate = learning_rate
        self.slow = dict(slow or {})
        self._check_slow()
        self.warmup = warmup
        self.warmup_start = warmup_start
        self.decay = decay
        self.validation_qualities = validation_qualities
        self.seed = seed
        self.codec_config: dict[str, Any] | None = None
        self._deployed: Model | None = None
        self._meter = RunningMeans()
        self._losses = FiniteLosses()

    def _check_slow(self) -> None:
        """Refuse what slows nothing down."""
        names = [name for name, _ in self.codec.named_parameters()]
        parts = sorted({part for name in names for part in name.split(".") if not part.isdigit()})
        for key, factor in self.slow.items():
            if not (math.isfinite(factor) and factor >= 0):
                raise InvalidInputError(f"model.slow: the factor of {key!r} is 0 or more")
            if not any(key in name for name in names):
                near = difflib.get_close_matches(key, parts, n=3, cutoff=0.5) or parts
                raise InvalidInputError(
                    f"model.slow names {key!r}, which is in no parameter's name: take "
                    f"{', '.join(near)} or another part of one"
                )

    def on_train_start(self) -> None:
        """Data-dependent start of codecs that know one, before the first step only."""
        if self.global_step:
            self._follow_config()
        elif not self.start_from:
            self._calibrate()

    def _calibrate(self) -> None:
        """Let the codec start from some batches' statistics, if it can."""

    def _last_part(self, batch_idx: int) -> bool:
        """Whether the batch is the last one whose gradients its step accumulates.

        Sets the state of the random numbers: what is drawn is a function of the place in the run,
        so that runs resume exactly. Qualities, and the noise of pictures, are functions of a
        sample's number, so that they do so with another number of processes too.
        """
        part = batch_idx % self.trainer.accumulate_grad_batches
        place = (self.seed, self.global_step, part, self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
        return part == self.trainer.accumulate_grad_batches - 1

    def _samples(self, batch_idx: int, n: int) -> range:
        """The numbers of a batch's n samples among all that the run has, in all processes."""
        parts, part = self.trainer.accumulate_grad_batches, batch_idx
        batch = self.global_step * parts + part % parts
        return samples_of(batch, n, self.global_rank, self.trainer.world_size)

    def _draw_qualities(self, samples: range) -> Tensor:
        """A quality for each of the samples, a function of its number; the highest for a fixed-rate
        codec."""
        if not self.codec.variable_rate:
            return torch.full((len(samples),), float(HIGHEST_QUALITY), device=self.device)
        drawn = [self._random(sample).integers(HIGHEST_QUALITY + 1) for sample in samples]
        return torch.tensor(drawn, dtype=torch.float32, device=self.device)

    def _random(self, sample: int) -> np.random.Generator:
        """What is random about one sample, but for its crop."""
        return np.random.default_rng((self.seed, sample, 1))

    def _given(self, quality: Tensor) -> Tensor | None:
        """What the codec is told of the quality."""
        return quality if self.codec.variable_rate else None

    def _record(self, figures: Mapping[str, Tensor], images: int, last_part: bool) -> None:
        """Add to the means since the last logged step; log them when the next is due."""
        meter = self._meter
        meter.add({name: value.detach() for name, value in figures.items()}, images)
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if not last_part or (self.global_step + 1) % every:
            return
        means, images_per_second = meter.take()
        self._check_losses()
        if images_per_second is not None:
            means["images_per_second"] = torch.tensor(images_per_second * self.trainer.world_size)
        self.log("train/loss", means.pop("loss"), prog_bar=True, batch_size=images, sync_dist=True)
        logged = {f"train/{name}": value for name, value in means.items()}
        self.log_dict(logged, batch_size=images, sync_dist=True)

    def _check_losses(self) -> None:
        """Raise `KodecError` where a loss was not finite."""
        step = self._losses.first_broken()
        if step is not None:
            raise self._diverged(f"the loss is not finite at step {step}")

    def _check_weights(self) -> None:
        """Raise `KodecError` where a loss was not finite, or a weight is not."""
        self._check_losses()
        name = first_not_finite(self.state_dict())
        if name is not None:
            raise self._diverged(f"{name} is not finite after step {self.global_step}")

    def _diverged(self, what: str) -> KodecError:
        """What ends the run, and how to go on."""
        trainer = self.trainer
        own = [c.path for c in trainer.checkpoint_callbacks if getattr(c, "saved", False)]  # type: ignore[attr-defined]
        start = [Path(trainer.ckpt_path)] if trainer.ckpt_path else []
        return KodecError(f"{what}, and the run ends here: {advice([*own, *start])}")

    @contextlib.contextmanager
    def _codable(self) -> Iterator[None]:
        """Weights that can't code, finite as they are, end the run like others."""
        try:
            yield
        except InvalidInputError as error:
            what = f"validation at step {self.global_step} could not code ({error})"
            raise self._diverged(what) from error

    def on_train_end(self) -> None:
        """A run doesn't end well with weights that are not finite."""
        self._check_weights()

    def on_validation_epoch_start(self) -> None:
        """Freeze a copy of the codec as it would be exported now."""
        self._meter.pause()
        self._check_weights()
        with self._codable():
            self._deployed = copy.deepcopy(self.codec).deploy()

    @torch.no_grad()
    def validation_step(self, x: Tensor, batch_idx: int) -> None:
        """Writes real streams and logs bits per pixel, PSNR and the loss of 8-bit pictures.

        x: pictures (N, 3, H, W) or clips (N, T, 3, H, W), in [0, 1].
        """
        assert self._deployed is not None
        n = len(x)
        originals = x.flatten(0, -4)
        losses = []
        qualities = self.validation_qualities if self.codec.variable_rate else (HIGHEST_QUALITY,)
        for q in qualities:
            quality = torch.full((n,), float(q), device=self.device)
            with torch.autocast(x.device.type, enabled=False), self._codable():
                x_hat, coded = self._write(self._deployed, x, quality)
            if not x_hat.isfinite().all():
                what = f"pixels of quality {q} are not finite in validation at step"
                raise self._diverged(f"{what} {self.global_step}")
            x_hat = as_pixels(x_hat.flatten(0, -4)).float() / 255
            bpp = 8 * coded / (x.numel() / 3)
            psnr = -10 * torch.log10((originals - x_hat).square().mean(dim=(1, 2, 3))).mean()
            lam = self.objective.lambdas(quality[:1])
            distortions = self.objective.distortions(originals, x_hat)
            losses.append(((bpp + lam * distortions) / lam.sqrt()).mean())
            figures = {f"val/bpp_q{q}": torch.tensor(bpp), f"val/psnr_q{q}": psnr}
            self.log_dict(figures, batch_size=n, sync_dist=True)
        self.log(
            "val/loss", torch.stack(losses).mean(), prog_bar=True, batch_size=n, sync_dist=True
        )

    @abstractmethod
    def _write(self, codec: Model, x: Tensor, quality: Tensor) -> tuple[Tensor, int]:
        """Code a validation batch to streams at qualities (N,): what a decoder shows, and bytes."""

    def on_validation_epoch_end(self) -> None:
        """Drop the frozen copy."""
        self._deployed = None
        self._meter.resume()

    def _groups(self) -> list[tuple[float, list[str]]]:
        """Learning rates, and the names of the parameters that each is for."""
        groups: dict[float, list[str]] = {}
        for name, parameter in self.codec.named_parameters():
            if not parameter.requires_grad:
                continue
            factor = next((f for part, f in self.slow.items() if part in name), 1.0)
            groups.setdefault(factor, []).append(name)
        return [(self.learning_rate * factor, names) for factor, names in groups.items()]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam, one optimiser for everything, with the warm-up/stable/decay schedule."""
        named = dict(self.codec.named_parameters())
        # Fused, a step of Adam takes a third of the time on a CPU.
        fused = self.device.type in ("cpu", "cuda")
        optimiser = torch.optim.Adam(
            [
                {"params": [(n, named[n]) for n in names], "lr": rate}
                for rate, names in self._groups()
            ],
            fused=fused,
        )
        # Scaled gradients, where there are any, are unscaled before clipping, as without `fused`.
        optimiser._step_supports_amp_scaling = False
        total = int(self.trainer.estimated_stepping_batches)
        schedule = WarmupStableDecay(total, self.warmup, self.decay, self.warmup_start)
        # A plain function: callable objects would be restored from checkpoints, old total and all.
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: schedule(step) * self._rate_factor(step)
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def _rate_factor(self, step: int) -> float:
        """What the learning rate is multiplied by at a step, besides the schedule."""
        return 1.0

    def _follow_config(self) -> None:
        """In a resumed run: learning rates are the config's, not those that were stored."""
        scheduler = self.lr_schedulers()
        assert isinstance(scheduler, torch.optim.lr_scheduler.LambdaLR)
        scheduler.base_lrs = [rate for rate, _ in self._groups()]
        groups = scheduler.optimizer.param_groups
        for group, rate, factor in zip(
            groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True
        ):
            group["initial_lr"] = rate
            group["lr"] = rate * factor(scheduler.last_epoch)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store what the codec was built from: `kodec export` needs nothing else.

        Raises `KodecError` rather than have a checkpoint of what is not finite.
        """
        self._check_losses()
        name = first_not_finite(checkpoint_tensors(checkpoint))
        if name is not None:
            raise self._diverged(f"{name} is not finite after step {self.global_step}")
        checkpoint["codec_config"] = self.codec_config
        checkpoint["objective"] = asdict(self.objective)
        checkpoint["start_from"] = self.start_from

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take what the run goes on from; the config has its way, or is refused in one line."""
        check_resumable(self, checkpoint)
        states = checkpoint["optimizer_states"]
        states[0] = regrouped(states[0], [names for _, names in self._groups()])
