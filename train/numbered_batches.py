"""Endless batches by number, so that a run that goes on has those of an unbroken one."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import lightning
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from kodec.native import InvalidInputError

Batch = TypeVar("Batch", covariant=True)


class NumberedBatches(IterableDataset[Batch]):
    """Batches that are a function of their number alone; it gives those from `first` on.

    Whoever asks for them gets the same ones, whatever ran before: that is what makes a resumed run
    equal to an unbroken one.
    """

    first: int = 0

    @abstractmethod
    def batch(self, number: int) -> Batch:
        """The batch of that number, from 0."""

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        number, count = (worker.id, worker.num_workers) if worker else (0, 1)
        at = self.first + number
        while True:
            yield self.batch(at)
            at += count


class BatchLoader(DataLoader[Batch]):
    """Starts, each time it is iterated, at the batch that the run is at.

    Lightning iterates it anew in every epoch and after a restart.
    """

    def __init__(
        self, batches: NumberedBatches[Batch], present: Callable[[], int], workers: int
    ) -> None:
        super().__init__(batches, batch_size=None, num_workers=workers)
        self._batches = batches
        self._present = present

    def __iter__(self) -> Any:
        self._batches.first = self._present()
        return _in_own_words(super().__iter__())


def _in_own_words(batches: Iterator[Any]) -> Iterator[Any]:
    """Batches; what a loader process could not read is one line, not the process's traceback."""
    try:
        yield from batches
    except InvalidInputError as error:
        last = str(error).strip().rpartition("\n")[2]
        words = last.removeprefix(f"{InvalidInputError.__module__}.{InvalidInputError.__name__}: ")
        raise InvalidInputError(words) from error


def samples_of(batch: int, size: int, rank: int, processes: int) -> range:
    """The numbers of the samples in one process's batch.

    Samples are numbered through the run: the first batches of all processes, by rank, then the
    second ones. A step has the same ones however many processes and accumulated batches share them,
    as long as there are as many.
    """
    first = (batch * processes + rank) * size
    return range(first, first + size)


def batches_done(trainer: lightning.Trainer | None) -> int:
    """How many batches a run has had, in each of its processes."""
    return trainer.global_step * trainer.accumulate_grad_batches if trainer else 0
