"""Rate-distortion training of picture codecs."""

import itertools
from typing import Any

import torch
from torch import Tensor

from kodec.codecs import HIGHEST_QUALITY, PictureCodec
from kodec.entropy import RateMeter, SymbolWriter, UniformBySample

from .codec_training import CodecTraining
from .data import Crops, pixels_and_regions

CALIBRATION_BATCHES = 8


class RateDistortion(CodecTraining[PictureCodec]):
    """Training of picture codecs; objective and options: see `CodecTraining`.

    For a latent model without a rate in training (`CompandedIntegers`) lambda only scales the loss,
    which is the distortion's.

    Args:
        codec: the codec to train.
        options: those of `CodecTraining`.
    """

    def __init__(self, codec: PictureCodec, **options: Any) -> None:
        super().__init__(codec, **options)

    def _calibrate(self) -> None:
        loader = self.trainer.train_dataloader
        if not self.codec.calibrates or loader is None:
            return
        count = CALIBRATION_BATCHES * self.trainer.accumulate_grad_batches
        batches = itertools.islice(loader, count)
        x = torch.stack([pixels_and_regions(crops)[0] for crops in batches]).to(self.device)
        if self.trainer.world_size > 1:
            # Every process saw other crops; all take those of all, in the order of their numbers.
            x = torch.as_tensor(self.all_gather(x)).transpose(0, 1)
        x = x.flatten(0, -4)
        quality = torch.linspace(0, HIGHEST_QUALITY, len(x), device=self.device)
        self.codec.calibrate(x, self._given(quality))
        # All must start from the same weights, to the last bit.
        weights = {name: value.cpu() for name, value in self.codec.state_dict().items()}
        self.codec.load_state_dict(self.trainer.strategy.broadcast(weights))

    def training_step(self, crops: Crops, batch_idx: int) -> Tensor:
        """One step's loss; logs bpp per stream, PSNR, loss and pictures per second."""
        x, regions = pixels_and_regions(crops)
        last_part = self._last_part(batch_idx)
        n, _, h, w = x.shape
        loss, port, x_hat = self.loss_of(x, self._samples(batch_idx, n), regions)
        bpp = port.total() / (h * w)
        mse = (x - x_hat.detach()).square().mean(dim=(1, 2, 3))
        figures = {"loss": loss, "bpp": bpp.mean(), "psnr": -10 * torch.log10(mse).mean()}
        figures |= {f"bpp_{k}": v.mean() / (h * w) for k, v in port.bits.items()}
        self._losses.add(loss, self.global_step)
        self._record(figures, n, last_part)
        return loss

    def loss_of(
        self, x: Tensor, samples: range, regions: Tensor | None = None
    ) -> tuple[Tensor, RateMeter, Tensor]:
        """The loss of crops (N, 3, H, W), a number with gradients, at qualities and under noise
        that follow from their numbers among all samples of the run.

        Besides, the meter that has their bits, and their pixels. regions: as a batch has them.
        """
        n, _, h, w = x.shape
        quality = self._draw_qualities(samples)
        lam = self.objective.lambdas(quality)
        seeds = [int(self._random(sample).integers(2**63)) for sample in samples]
        port = RateMeter(training=True, uniform=UniformBySample(seeds, x.device))
        hints = {} if regions is None else {"regions": regions}
        x_hat = self.codec.code(x, (n, h, w), self._given(quality), port, hints).x_hat.float()
        bpp = port.total() / (h * w)
        loss = ((bpp + lam * self.objective.distortions(x, x_hat)) / lam.sqrt()).mean()
        return loss, port, x_hat

    def _write(self, codec: PictureCodec, x: Tensor, quality: Tensor) -> tuple[Tensor, int]:
        n, _, h, w = x.shape
        writer = SymbolWriter(n)
        x_hat = codec.code(x, (n, h, w), self._given(quality), writer).x_hat
        return x_hat, sum(len(stream) for stream in writer.finish())
