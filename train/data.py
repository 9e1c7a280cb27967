"""Random crops for training and fixed ones for validation."""

from collections.abc import Iterator
from pathlib import Path

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from kodec.codecs import read_picture
from kodec.eval import find_dataset
from kodec.native import InvalidInputError


def load_rgb(path: Path) -> NDArray[np.uint8]:
    """A picture file as uint8 (H, W, 3); gray is repeated into three components."""
    pixels = read_picture(path).pixels
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


class RandomCrops(IterableDataset[Tensor]):
    """Endless batches of random crops, a function of (seed, step, rank) alone.

    Whoever asks for the batches from `first_step` on gets the same ones, whatever ran before:
    that is what makes a resumed run equal to an unbroken one. Yields float32 (N, 3, crop, crop)
    in [0, 1]; crops are flipped and transposed at random. Pictures stay decoded in memory.
    """

    def __init__(
        self, paths: list[Path], crop: int, batch_size: int, seed: int, rank: int, first_step: int
    ) -> None:
        self.paths = paths
        self.crop = crop
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.first_step = first_step
        self._decoded: dict[int, NDArray[np.uint8]] = {}

    def _picture(self, number: int) -> NDArray[np.uint8]:
        if number not in self._decoded:
            pixels = load_rgb(self.paths[number])
            if min(pixels.shape[:2]) < self.crop:
                raise InvalidInputError(
                    f"{self.paths[number]} is smaller than the crop of {self.crop} pixels; "
                    "lower data.crop or leave the picture out"
                )
            self._decoded[number] = pixels
        return self._decoded[number]

    def batch(self, step: int) -> Tensor:
        """The batch of one step."""
        rng = np.random.default_rng((self.seed, step, self.rank))
        crops = []
        for _ in range(self.batch_size):
            pixels = self._picture(int(rng.integers(len(self.paths))))
            h, w, _ = pixels.shape
            top = int(rng.integers(h - self.crop + 1))
            left = int(rng.integers(w - self.crop + 1))
            crop = pixels[top : top + self.crop, left : left + self.crop]
            if rng.integers(2):
                crop = crop[:, ::-1]
            if rng.integers(2):
                crop = crop[::-1]
            if rng.integers(2):
                crop = crop.transpose(1, 0, 2)
            crops.append(crop)
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255

    def __iter__(self) -> Iterator[Tensor]:
        worker = get_worker_info()
        number, count = (worker.id, worker.num_workers) if worker else (0, 1)
        step = self.first_step + number
        while True:
            yield self.batch(step)
            step += count


class Pictures(Dataset[Tensor]):
    """Whole pictures, float32 (3, H, W) in [0, 1]."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Tensor:
        return torch.from_numpy(load_rgb(self.paths[number])).permute(2, 0, 1).float() / 255


class CropData(lightning.LightningDataModule):
    """Training crops and validation pictures of a data set.

    Args:
        dataset: a name from datasets.yaml, or a folder (then give `validation` too).
        validation: data set of the validation pictures; by default the dataset's validation split.
        crop: side of the training crops, in pixels.
        batch_size: crops per step and process.
        validation_pictures: how many validation pictures to use, evenly spread over the split.
        workers: loader processes; 0 decodes in the training process.
        seed: of crops, flips and their order.
    """

    def __init__(
        self,
        dataset: str = "natural-crops",
        validation: str | None = None,
        crop: int = 192,
        batch_size: int = 4,
        validation_pictures: int = 16,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if crop < 1 or batch_size < 1 or validation_pictures < 1 or workers < 0:
            raise InvalidInputError("crop, batch_size, validation_pictures must be 1 or more")
        self.dataset = dataset
        self.validation = validation
        self.crop = crop
        self.batch_size = batch_size
        self.validation_pictures = validation_pictures
        self.workers = workers
        self.seed = seed

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Batches from the trainer's present step on."""
        paths = find_dataset(self.dataset, "train" if self.validation is None else None)
        trainer = self.trainer
        rank = trainer.global_rank if trainer else 0
        step = trainer.global_step if trainer else 0
        crops = RandomCrops(paths, self.crop, self.batch_size, self.seed, rank, step)
        return DataLoader(crops, batch_size=None, num_workers=self.workers)

    def val_dataloader(self) -> DataLoader[Tensor]:
        """Validation pictures, one a batch."""
        name, split = (
            (self.dataset, "validation") if self.validation is None else (self.validation, None)
        )
        paths = find_dataset(name, split)
        chosen = np.linspace(0, len(paths) - 1, min(self.validation_pictures, len(paths)))
        return DataLoader(Pictures([paths[int(i)] for i in chosen]), batch_size=1)
