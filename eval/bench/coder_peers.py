"""Other projects' entropy coders, through their public interfaces, on a `GaussianWorkload`."""

import contextlib
import importlib
import importlib.metadata
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from kodec.native import InvalidInputError

from .coder_workloads import GaussianWorkload

REFERENCE = "CompressAI"
MOST_SYMBOLS = 1_000_000
"""Of a workload, for peers: enough for their speed and size, where more would take long."""
MOST_CDF_ENTRIES = 2**26
"""torchac takes a cumulative of each symbol; more of them than this would fill memories."""


class Peer(Protocol):
    """A coder with its input prepared; streams are whatever it makes."""

    name: str
    symbols: int
    """It codes this many of the workload's first ones."""

    def encode(self) -> Any:
        """Code the symbols."""

    def decode(self, stream: Any) -> Any:
        """Decode them."""

    def size(self, stream: Any) -> int:
        """Bytes of a stream."""

    def values(self, decoded: Any) -> NDArray[np.int64]:
        """What `decode` gave, as symbols (n,)."""


class CompressAI:
    """`GaussianConditional` with the same scale table: tensors to strings and back."""

    name = REFERENCE

    def __init__(self, workload: GaussianWorkload) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from compressai.entropy_models import GaussianConditional
        self.symbols = min(workload.symbols.size, MOST_SYMBOLS)
        self._model = GaussianConditional(workload.scales.tolist())
        self._model.update()
        self._inputs = torch.from_numpy(workload.symbols[: self.symbols]).float()[None]
        self._indexes = torch.from_numpy(workload.levels[: self.symbols]).int()[None]

    def encode(self) -> Any:
        """A list of one string."""
        return self._model.compress(self._inputs, self._indexes)

    def decode(self, stream: Any) -> Any:
        """A tensor (1, n)."""
        return self._model.decompress(stream, self._indexes)

    def size(self, stream: Any) -> int:
        """Bytes of the string."""
        return len(stream[0])

    def values(self, decoded: Any) -> NDArray[np.int64]:
        """The tensor's one row."""
        return decoded[0].long().numpy()  # type: ignore[no-any-return]


class _Constriction:
    """What constriction's two coders have in common: quantised Gaussians on one interval."""

    def __init__(self, workload: GaussianWorkload) -> None:
        self._streams = importlib.import_module("constriction").stream
        self.symbols = min(workload.symbols.size, MOST_SYMBOLS)
        self._values = workload.symbols[: self.symbols].astype(np.int32)
        reach = max(_reach(workload), 1)
        self._family = self._streams.model.QuantizedGaussian(-reach, reach)
        self._means = np.zeros(self.symbols)
        self._scales = workload.scales[workload.levels[: self.symbols]]

    def size(self, stream: Any) -> int:
        """Bytes of the array of 32-bit words."""
        return int(stream.nbytes)

    def values(self, decoded: Any) -> NDArray[np.int64]:
        """The array, widened."""
        return decoded.astype(np.int64)  # type: ignore[no-any-return]


class ConstrictionAns(_Constriction):
    """constriction's `AnsCoder`."""

    name = "constriction ANS"

    def encode(self) -> Any:
        """An array of words."""
        coder = self._streams.stack.AnsCoder()
        coder.encode_reverse(self._values, self._family, self._means, self._scales)
        return coder.get_compressed()

    def decode(self, stream: Any) -> Any:
        """An array (n,)."""
        coder = self._streams.stack.AnsCoder(stream)
        return coder.decode(self._family, self._means, self._scales)


class ConstrictionRange(_Constriction):
    """constriction's `RangeEncoder` and `RangeDecoder`."""

    name = "constriction range"

    def encode(self) -> Any:
        """An array of words."""
        coder = self._streams.queue.RangeEncoder()
        coder.encode(self._values, self._family, self._means, self._scales)
        return coder.get_compressed()

    def decode(self, stream: Any) -> Any:
        """An array (n,)."""
        coder = self._streams.queue.RangeDecoder(stream)
        return coder.decode(self._family, self._means, self._scales)


class Torchac:
    """torchac with an int16 cumulative for each symbol, made beforehand and not timed."""

    name = "torchac"

    def __init__(self, workload: GaussianWorkload) -> None:
        with _silent():  # It compiles itself, and says so.
            self._torchac = importlib.import_module("torchac")
        reach = _reach(workload)
        entries = 2 * reach + 2
        self.symbols = max(1, min(workload.symbols.size, MOST_SYMBOLS, MOST_CDF_ENTRIES // entries))
        edges = torch.arange(entries, dtype=torch.float64) - reach - 0.5
        cdf = torch.special.ndtr(edges / torch.from_numpy(workload.scales)[:, None])
        cdf[:, 0], cdf[:, -1] = 0, 1
        # As torchac's own conversion from float does it; the last entry, 2**16, wraps to 0.
        whole = torch.round(cdf * (2**16 - (entries - 1))).int() + torch.arange(entries).int()
        levels = torch.from_numpy(workload.levels[: self.symbols]).long()
        self._cdf = whole.to(torch.int16)[levels]
        self._reach = reach
        self._values = torch.from_numpy(workload.symbols[: self.symbols]) + reach

    def encode(self) -> Any:
        """Bytes."""
        return self._torchac.encode_int16_normalized_cdf(self._cdf, self._values)

    def decode(self, stream: Any) -> Any:
        """A tensor (n,)."""
        return self._torchac.decode_int16_normalized_cdf(self._cdf, stream)

    def size(self, stream: Any) -> int:
        """Bytes."""
        return len(stream)

    def values(self, decoded: Any) -> NDArray[np.int64]:
        """The tensor, about zero again."""
        return decoded.long().numpy() - self._reach  # type: ignore[no-any-return]


PEERS: dict[str, tuple[str, tuple[Callable[[GaussianWorkload], Peer], ...]]] = {
    "compressai": (REFERENCE, (CompressAI,)),
    "constriction": ("constriction", (ConstrictionAns, ConstrictionRange)),
    "torchac": ("torchac", (Torchac,)),
}
"""By the distribution that brings them: what to call it, and its coders."""


def peer_versions() -> dict[str, str]:
    """The versions of those peers that are installed."""
    found = {}
    for name in PEERS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def make_peers(
    workload: GaussianWorkload, distributions: Sequence[str]
) -> tuple[list[Peer], list[str]]:
    """The coders of `distributions` on a workload, and a note on each that does not work here.

    Raises InvalidInputError for a distribution that is not in `PEERS`.
    """
    peers: list[Peer] = []
    notes = []
    for distribution in distributions:
        if distribution not in PEERS:
            raise InvalidInputError(
                f"no adapter for {distribution!r}: there are {', '.join(PEERS)}"
            )
        title, coders = PEERS[distribution]
        if distribution not in peer_versions():
            notes.append(f"{title} is not installed")
            continue
        try:
            peers += [coder(workload) for coder in coders]
        except Exception as error:
            # torchac is compiled when it is imported, which fails in many ways.
            reason = "; ".join(str(error).splitlines()[:1]) or type(error).__name__
            notes.append(f"{title} is left out: {reason}")
    return peers, notes


def _reach(workload: GaussianWorkload) -> int:
    return int(np.abs(workload.symbols.astype(np.int32)).max())


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep this process and its children from printing."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [(stream, os.dup(stream)) for stream in (1, 2)]
    with open(os.devnull, "w", encoding="utf-8") as nowhere, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for stream, _ in kept:
            os.dup2(nowhere.fileno(), stream)
        try:
            with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
                yield
        finally:
            for stream, copy in kept:
                os.dup2(copy, stream)
                os.close(copy)
