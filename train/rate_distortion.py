"""Rate-distortion training of picture codecs."""

import copy
import itertools
import math
from collections.abc import Mapping
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from pytorch_msssim import ms_ssim
from torch import Tensor

from kodec.codecs import PictureCodec, as_pixels, find_model, load_model
from kodec.entropy import RateMeter, SymbolWriter
from kodec.native import InvalidInputError, KodecError

from .data import Crops, pixels_and_regions
from .running_means import RunningMeans
from .schedule import WarmupStableDecay

HIGHEST_QUALITY = 63
CALIBRATION_BATCHES = 8
# MS-SSIM halves a picture four times and then needs its window of 11 pixels.
SMALLEST_FOR_MS_SSIM = 161


class RateDistortion(lightning.LightningModule):
    """Minimises bpp + lambda * distortion over all qualities of a codec.

    Distortion is 255^2 MSE, or 1 - MS-SSIM. A quality is drawn for each sample, uniformly over
    0..63; lambda runs from `lambda_low` to `lambda_high` geometrically with it, and each sample's
    loss is divided by sqrt(lambda), so that all qualities learn at about the same pace. A
    fixed-rate codec uses `lambda_high` alone. For a latent model without a rate in training
    (`CompandedIntegers`) that only scales the loss, which is the distortion's.

    Args:
        codec: the codec to train.
        distortion: "mse" or "ms-ssim".
        lambda_low: lambda at quality 0.
        lambda_high: lambda at quality 63.
        learning_rate: of Adam, after warm-up.
        slow: parts of parameter names -> factor on their learning rate, such as {"linear": 0.1}.
        warmup: steps of warm-up.
        warmup_start: fraction of the learning rate to warm up from, its logarithm then rising along
            half a cosine; 0 warms up linearly.
        decay: fraction of the run over which the rate falls linearly to zero.
        validation_qualities: qualities at which validation writes real streams.
        seed: of the quantisation noise and of the qualities drawn.
        start_from: an embedded model's name or a model file whose weights to start from, of the
            same codec; None starts anew.
    """

    def __init__(
        self,
        codec: PictureCodec,
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
    ) -> None:
        super().__init__()
        if distortion not in ("mse", "ms-ssim"):
            raise InvalidInputError(f"distortion is 'mse' or 'ms-ssim', not {distortion!r}")
        if not 0 < lambda_low <= lambda_high:
            raise InvalidInputError("lambdas need 0 < lambda_low <= lambda_high")
        if not all(0 <= q <= HIGHEST_QUALITY for q in validation_qualities):
            raise InvalidInputError(f"validation_qualities lie in 0..{HIGHEST_QUALITY}")
        if learning_rate <= 0 or seed < 0:
            raise InvalidInputError("learning_rate is above 0, and seed 0 or more")
        self.codec = codec
        self.start_from = start_from
        if start_from is not None:
            network, info = load_model(find_model(start_from))
            try:
                codec.load_state_dict(network.state_dict())
            except RuntimeError:
                raise InvalidInputError(
                    f"the model {info.name} is of another codec than the config describes: "
                    "start from one of the same"
                ) from None
        self.distortion = distortion
        self.lambda_low = lambda_low
        self.lambda_high = lambda_high
        self.learning_rate = learning_rate
        self.slow = dict(slow or {})
        self.warmup = warmup
        self.warmup_start = warmup_start
        self.decay = decay
        self.validation_qualities = validation_qualities
        self.seed = seed
        self.codec_config: dict[str, Any] | None = None
        self._deployed: PictureCodec | None = None
        self._meter = RunningMeans()

    def lambdas(self, quality: Tensor) -> Tensor:
        """Lambda (N,) of qualities (N,)."""
        ratio = self.lambda_high / self.lambda_low
        return self.lambda_low * ratio ** (quality / HIGHEST_QUALITY)

    def distortions(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """Distortion per sample (N,) of pixels (N, 3, H, W) in [0, 1]."""
        if self.distortion == "mse":
            return (x - x_hat).square().mean(dim=(1, 2, 3)) * 255**2
        if min(x.shape[-2:]) < SMALLEST_FOR_MS_SSIM:
            raise InvalidInputError(
                f"MS-SSIM needs crops and pictures of {SMALLEST_FOR_MS_SSIM} pixels or more each "
                f"way, not {x.shape[-1]}x{x.shape[-2]}: raise data.crop"
            )
        similarity: Tensor = ms_ssim(x_hat.clamp(0, 1), x, data_range=1.0, size_average=False)
        return 1 - similarity

    def on_train_start(self) -> None:
        """Data-dependent start of codecs that know one, before the first step only."""
        calibrate = getattr(self.codec, "calibrate", None)
        loader = self.trainer.train_dataloader
        if self.global_step or self.start_from or calibrate is None or loader is None:
            return
        batches = itertools.islice(loader, CALIBRATION_BATCHES)
        x = torch.cat([pixels_and_regions(crops)[0] for crops in batches]).to(self.device)
        quality = torch.linspace(0, HIGHEST_QUALITY, len(x), device=self.device)
        calibrate(x, quality if self.codec.variable_rate else None)
        # Every process saw other crops; all must start from the same weights.
        weights = {name: value.cpu() for name, value in self.codec.state_dict().items()}
        self.codec.load_state_dict(self.trainer.strategy.broadcast(weights))

    def training_step(self, crops: Crops, batch_idx: int) -> Tensor:
        """One step's loss; logs bpp per stream, PSNR, loss and pictures per second."""
        x, regions = pixels_and_regions(crops)
        # Noise and qualities are a function of the place in the run, so that runs resume exactly.
        part = batch_idx % self.trainer.accumulate_grad_batches
        place = (self.seed, self.global_step, part, self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
        n, _, h, w = x.shape
        quality = torch.randint(HIGHEST_QUALITY + 1, (n,), device=self.device).float()
        if not self.codec.variable_rate:
            quality = torch.full_like(quality, HIGHEST_QUALITY)
        lam = self.lambdas(quality)
        port = RateMeter(training=True)
        given = quality if self.codec.variable_rate else None
        x_hat = self.codec.code(x, (n, h, w), given, port, regions).x_hat.float()
        bpp = port.total() / (h * w)
        loss = ((bpp + lam * self.distortions(x, x_hat)) / lam.sqrt()).mean()
        mse = (x - x_hat.detach()).square().mean(dim=(1, 2, 3))
        figures = {"loss": loss, "bpp": bpp.mean(), "psnr": -10 * torch.log10(mse).mean()}
        figures |= {f"bpp_{k}": v.mean() / (h * w) for k, v in port.bits.items()}
        self._record(figures, n, last_part=part == self.trainer.accumulate_grad_batches - 1)
        return loss

    def _record(self, figures: Mapping[str, Tensor], images: int, last_part: bool) -> None:
        """Add to the means since the last logged step; log them when the next is due."""
        meter = self._meter
        meter.add({name: value.detach() for name, value in figures.items()}, images)
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if not last_part or (self.global_step + 1) % every:
            return
        means, images_per_second = meter.take()
        if not math.isfinite(float(means["loss"])):
            raise KodecError(
                f"the loss is not finite at step {self.global_step}: lower model.learning_rate "
                "and go on from the last checkpoint"
            )
        if images_per_second is not None:
            means["images_per_second"] = torch.tensor(images_per_second * self.trainer.world_size)
        self.log("train/loss", means.pop("loss"), prog_bar=True, batch_size=images, sync_dist=True)
        logged = {f"train/{name}": value for name, value in means.items()}
        self.log_dict(logged, batch_size=images, sync_dist=True)

    def on_validation_epoch_start(self) -> None:
        """Freeze a copy of the codec as it would be exported now."""
        self._meter.pause()
        self._deployed = copy.deepcopy(self.codec).deploy()

    @torch.no_grad()
    def validation_step(self, x: Tensor, batch_idx: int) -> None:
        """Writes real streams and logs bits per pixel, PSNR and the loss of 8-bit pictures."""
        assert self._deployed is not None
        n, _, h, w = x.shape
        losses = []
        qualities = self.validation_qualities if self.codec.variable_rate else (HIGHEST_QUALITY,)
        for q in qualities:
            quality = torch.full((n,), float(q), device=self.device)
            writer = SymbolWriter(n)
            given = quality if self.codec.variable_rate else None
            with torch.autocast(x.device.type, enabled=False):
                x_hat = self._deployed.code(x, (n, h, w), given, writer).x_hat
            x_hat = as_pixels(x_hat).float() / 255
            bpp = sum(8 * len(s) for s in writer.finish()) / (n * h * w)
            psnr = -10 * torch.log10((x - x_hat).square().mean())
            lam = self.lambdas(quality)
            loss = ((bpp + lam * self.distortions(x, x_hat)) / lam.sqrt()).mean()
            losses.append(loss)
            figures = {f"val/bpp_q{q}": torch.tensor(bpp), f"val/psnr_q{q}": psnr}
            self.log_dict(figures, batch_size=n, sync_dist=True)
        self.log(
            "val/loss", torch.stack(losses).mean(), prog_bar=True, batch_size=n, sync_dist=True
        )

    def on_validation_epoch_end(self) -> None:
        """Drop the frozen copy."""
        self._deployed = None
        self._meter.resume()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam, one optimiser for everything, with the warm-up/stable/decay schedule."""
        groups: dict[float, list[torch.nn.Parameter]] = {}
        for name, parameter in self.codec.named_parameters():
            factor = next((f for part, f in self.slow.items() if part in name), 1.0)
            groups.setdefault(factor, []).append(parameter)
        # Fused, a step of Adam takes a third of the time on a CPU.
        fused = self.device.type in ("cpu", "cuda")
        optimiser = torch.optim.Adam(
            [{"params": p, "lr": self.learning_rate * f} for f, p in groups.items()], fused=fused
        )
        # Scaled gradients, where there are any, are unscaled before clipping, as without `fused`.
        optimiser._step_supports_amp_scaling = False
        total = int(self.trainer.estimated_stepping_batches)
        schedule = WarmupStableDecay(total, self.warmup, self.decay, self.warmup_start)
        # A plain function: callable objects would be restored from checkpoints, old total and all.
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: schedule(step))
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store what the codec was built from: `kodec export` needs nothing else."""
        checkpoint["codec_config"] = self.codec_config

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse, in one line, the weights of another codec."""
        own = {name: value.shape for name, value in self.state_dict().items()}
        given = {name: value.shape for name, value in checkpoint["state_dict"].items()}
        differs = next((n for n in (*own, *given) if own.get(n) != given.get(n)), None)
        if differs is not None:
            raise InvalidInputError(
                f"the checkpoint is of another codec than the config describes: {differs} differs"
            )
