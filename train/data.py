"""Random crops for training and fixed ones for validation."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from kodec.codecs import read_picture
from kodec.eval import find_dataset, find_labels, known_datasets
from kodec.native import InvalidInputError

from .decoded_files import DecodedFiles
from .regions import LabelPictures, RandomRectangles, RegionSource

# Of a folder without a validation set, one picture in so many is held out.
HELD_OUT = 16
CACHE_BYTES = 2**30


def load_rgb(path: Path) -> NDArray[np.uint8]:
    """A picture file as uint8 (H, W, 3); gray is repeated into three components."""
    pixels = read_picture(path).pixels
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def size_of(path: Path) -> tuple[int, int]:
    """(width, height) of a picture file, from its head where that is enough."""
    try:
        with Image.open(path) as image:
            return image.size
    except OSError:
        height, width, _ = load_rgb(path).shape
        return width, height


class LabelledCrops(NamedTuple):
    """A batch of crops whose regions are known.

    pixels: float32 (N, 3, crop, crop) in [0, 1]. regions: labels, int64 (N, crop, crop).
    """

    pixels: Tensor
    regions: Tensor


Crops = Tensor | LabelledCrops


def pixels_and_regions(crops: Crops) -> tuple[Tensor, Tensor | None]:
    """The pixels of a batch, and its regions where they are known."""
    return crops if isinstance(crops, LabelledCrops) else (crops, None)


class RandomCrops(IterableDataset[Crops]):
    """Endless batches of random crops, a function of (seed, number of the batch, rank) alone.

    Whoever asks for the batches from `first` on gets the same ones, whatever ran before: that is
    what makes a resumed run equal to an unbroken one. Yields float32 (N, 3, crop, crop) in
    [0, 1], or with a source of regions `LabelledCrops`; crops are flipped and transposed at random.
    Decoded pictures stay in memory, up to `cache_bytes`.
    """

    def __init__(
        self,
        paths: list[Path],
        crop: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        first: int = 0,
        cache_bytes: int = CACHE_BYTES,
        regions: RegionSource | None = None,
    ) -> None:
        self.paths = paths
        self.crop = crop
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.first = first
        self.regions = regions
        self._pictures = DecodedFiles(paths, load_rgb, cache_bytes)

    def check_sizes(self) -> None:
        """Read the head of every picture; raises `InvalidInputError` if one is below the crop."""
        for path in self.paths:
            size = size_of(path)
            if min(size) < self.crop:
                raise InvalidInputError(
                    f"{path} has {size[0]}x{size[1]} pixels, less than a crop of {self.crop}; "
                    "lower data.crop or set data.leave_out_small"
                )

    def batch(self, number: int) -> Crops:
        """The batch of that number, from 0."""
        rng = np.random.default_rng((self.seed, number, self.rank))
        crops, labels = [], []
        for _ in range(self.batch_size):
            picture = int(rng.integers(len(self.paths)))
            pixels = self._pictures[picture]
            h, w, _ = pixels.shape
            top = int(rng.integers(h - self.crop + 1))
            left = int(rng.integers(w - self.crop + 1))
            turns = [bool(rng.integers(2)) for _ in range(3)]
            crops.append(_turned(pixels[top : top + self.crop, left : left + self.crop], turns))
            if self.regions is not None:
                seen = self.regions.crop(picture, (h, w), (top, left), self.crop, rng)
                labels.append(_turned(seen, turns))
        # Contiguous: in channels-last order oneDNN (torch 2.14, AVX2) damages the heap in the
        # backward pass of some convolutions, those of the residual transform among them.
        stacked = np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2))
        x = torch.from_numpy(stacked).float() / 255
        return LabelledCrops(x, torch.from_numpy(np.stack(labels))) if labels else x

    def __iter__(self) -> Iterator[Crops]:
        worker = get_worker_info()
        number, count = (worker.id, worker.num_workers) if worker else (0, 1)
        at = self.first + number
        while True:
            yield self.batch(at)
            at += count


def _turned(crop: NDArray[Any], turns: Sequence[bool]) -> NDArray[Any]:
    """A crop (H, W, ...), mirrored, turned upside down and transposed where `turns` say so."""
    if turns[0]:
        crop = crop[:, ::-1]
    if turns[1]:
        crop = crop[::-1]
    return crop.swapaxes(0, 1) if turns[2] else crop


class _CropLoader(DataLoader[Crops]):
    """Starts, each time it is iterated, at the batch that the run is at.

    Lightning iterates it anew in every epoch and after a restart.
    """

    def __init__(self, crops: RandomCrops, present: Callable[[], int], workers: int) -> None:
        super().__init__(crops, batch_size=None, num_workers=workers)
        self._crops = crops
        self._present = present

    def __iter__(self) -> Any:
        self._crops.first = self._present()
        return super().__iter__()


class Pictures(Dataset[Tensor]):
    """Pictures, or their middles where they are larger than `largest` pixels each way.

    Items: float32 (3, H, W) in [0, 1].
    """

    def __init__(self, paths: list[Path], largest: int) -> None:
        self.paths = paths
        self.largest = largest

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Tensor:
        pixels = load_rgb(self.paths[number])
        h, w, _ = pixels.shape
        top, left = max(h - self.largest, 0) // 2, max(w - self.largest, 0) // 2
        middle = np.ascontiguousarray(pixels[top : top + self.largest, left : left + self.largest])
        return torch.from_numpy(middle).permute(2, 0, 1).float() / 255


class CropData(lightning.LightningDataModule):
    """Training crops and validation pictures of a data set.

    Args:
        dataset: a name from datasets.yaml, or a folder of pictures.
        validation: data set of the validation pictures; by default the dataset's validation split,
            of a folder every 16th picture, which training then leaves alone.
        crop: side of the training crops, in pixels.
        batch_size: crops per step and process.
        validation_pictures: how many validation pictures to use, evenly spread over the split.
        validation_size: of larger validation pictures, the middle of so many pixels each way.
        workers: loader processes; 0 decodes in the training process.
        seed: of crops, flips and their order.
        regions: what codecs that adapt to regions take for them in training: "labels", the label
            pictures that datasets.yaml names for the dataset; a folder of such, NAME.png for each
            picture; "rectangles", random ones; None: their own grid, as in coding.
        leave_out_small: train without the pictures that are smaller than the crop.
    """

    def __init__(
        self,
        dataset: str = "natural-crops",
        validation: str | None = None,
        crop: int = 192,
        batch_size: int = 4,
        validation_pictures: int = 16,
        validation_size: int = 768,
        workers: int = 0,
        seed: int = 0,
        regions: str | None = None,
        leave_out_small: bool = False,
    ) -> None:
        super().__init__()
        if min(crop, batch_size, validation_pictures, validation_size) < 1:
            raise InvalidInputError(
                "crop, batch_size, validation_pictures and validation_size are 1 or more"
            )
        if workers < 0 or seed < 0:
            raise InvalidInputError("workers and seed are 0 or more")
        self.dataset = dataset
        self.validation = validation
        self.crop = crop
        self.batch_size = batch_size
        self.validation_pictures = validation_pictures
        self.validation_size = validation_size
        self.workers = workers
        self.seed = seed
        self.regions = regions
        self.leave_out_small = leave_out_small

    def paths(self, split: str) -> list[Path]:
        """The pictures of `train` or `validation`."""
        if self.validation is not None:
            return find_dataset(self.dataset if split == "train" else self.validation)
        if self.dataset.partition(":")[0] in known_datasets():
            return find_dataset(self.dataset, split)
        every = find_dataset(self.dataset)
        held_out = every[HELD_OUT // 2 :: HELD_OUT] or every[-1:]
        if split == "validation":
            return held_out
        left_alone = set(held_out)
        # A single picture has to serve as both.
        return [path for path in every if path not in left_alone] or every

    def prepare_data(self) -> None:
        """Find the pictures, so that absent ones fail before a run has written anything."""
        self._region_source(self.paths("train"))
        self.paths("validation")

    def _region_source(self, paths: list[Path]) -> RegionSource | None:
        """Where the regions of the training pictures `paths` come from."""
        if self.regions is None:
            return None
        if self.regions == "rectangles":
            return RandomRectangles()
        if self.regions != "labels":
            return LabelPictures(find_labels(self.regions, paths), CACHE_BYTES)
        if self.dataset.partition(":")[0] not in known_datasets():
            raise InvalidInputError(
                f"datasets.yaml names no label pictures for {self.dataset}: let data.regions name "
                "their folder"
            )
        return LabelPictures(find_labels(self.dataset, paths), CACHE_BYTES)

    def train_dataloader(self) -> DataLoader[Crops]:
        """Batches from the trainer's present step on."""
        rank = self.trainer.global_rank if self.trainer else 0
        paths = self.paths("train")
        if self.leave_out_small:
            # Where all of them are, the first is complained about below.
            paths = [path for path in paths if min(size_of(path)) >= self.crop] or paths
        source = self._region_source(paths)
        crops = RandomCrops(paths, self.crop, self.batch_size, self.seed, rank, regions=source)
        crops.check_sizes()
        return _CropLoader(crops, self._batches_done, self.workers)

    def _batches_done(self) -> int:
        trainer = self.trainer
        return trainer.global_step * trainer.accumulate_grad_batches if trainer else 0

    def val_dataloader(self) -> DataLoader[Tensor]:
        """Validation pictures, one a batch."""
        paths = self.paths("validation")
        chosen = np.linspace(0, len(paths) - 1, min(self.validation_pictures, len(paths)))
        pictures = Pictures([paths[int(i)] for i in chosen], self.validation_size)
        return DataLoader(pictures, batch_size=1)
