"""The codecs behind a report's results, opened again as they were measured."""

import re
from typing import TYPE_CHECKING, Any

from kodec.codecs.fitted_families import is_family
from kodec.native import UnsupportedError

if TYPE_CHECKING:
    from kodec.eval import CodecLike, Results, SequenceCodec
    from kodec.eval.report import Entry

_OF_OFFSETS, _OFFSETS = "quality offsets", re.compile(r"[+-]?\d{1,2}")


class ReportCodecs:
    """The codecs that can be run here, each opened once."""

    def __init__(self, files: list[str], device: str, trusted: list[str]) -> None:
        self._files = files
        self._device = device
        self._trusted = trusted
        self._codecs: dict[str, CodecLike] = {}
        self._sequence_codecs: dict[str, SequenceCodec] = {}

    def find(self, entry: "Entry") -> "CodecLike":
        """The codec of an entry. Raises KodecError where it cannot be run as its results say."""
        results = _results_of(entry)
        if results.name not in self._codecs:
            self._codecs[results.name] = self._opened(results)
        codec = self._codecs[results.name]
        _check_settings(results, dict(getattr(codec, "settings", {})))
        return codec

    def find_sequence_codec(self, entry: "Entry") -> "SequenceCodec":
        """As `find`, of results of sequences."""
        results = _results_of(entry)
        # One codec may take part twice, in different structures.
        if entry.name not in self._sequence_codecs:
            self._sequence_codecs[entry.name] = self._opened_for_sequences(results)
        codec = self._sequence_codecs[entry.name]
        _check_settings(results, codec.sequence_settings)
        return codec

    def _opened(self, results: "Results") -> "CodecLike":
        from kodec.codecs import embedded_models, load
        from kodec.eval.baselines import Baseline

        if results.name in {model.name for model in embedded_models()}:
            return load(results.name, self._device)
        if is_family(results.settings.get("family")):
            from kodec.eval.running.measured_fit import MeasuredFit

            return MeasuredFit.of_settings(results.settings, self._device)
        for file in self._files:
            codec = load(file, self._device, self._trusted)
            if codec.name == results.name:
                return codec
        _check_baseline(results)
        # AVIF's preset is its speed.
        preset = results.settings.get("preset", results.settings.get("speed"))
        return Baseline(results.name, None if preset is None else str(preset)).open()

    def _opened_for_sequences(self, results: "Results") -> "SequenceCodec":
        from kodec.codecs import embedded_models
        from kodec.codecs.sequences.structures import STRUCTURES, Structure
        from kodec.codecs.sequences.video_codec import load_video
        from kodec.eval import SequenceCodec
        from kodec.eval.baselines import Baseline
        from kodec.eval.baselines import libav_streams as libav
        from kodec.eval.running.checked_video import CheckedVideoCodec

        name, settings = results.name, results.settings
        if is_family(settings.get("family")):
            from kodec.eval.running.measured_fit import MeasuredFit

            return MeasuredFit.of_settings(settings, self._device)
        structure, words = settings.get("structure"), str(settings.get("intra period"))
        period = int(words) if words.isdecimal() and structure != "intra" else 0
        embedded = [name] if name in {model.name for model in embedded_models()} else []
        for model in [*embedded, *self._files]:
            codec = load_video(model, self._device, self._trusted)
            if codec.name == name and structure in STRUCTURES:
                offsets = [int(part) for part in _OFFSETS.findall(str(settings.get(_OF_OFFSETS)))]
                chosen = Structure(str(structure), tuple(offsets) or (0,))
                return CheckedVideoCodec(codec, chosen, period)
        _check_baseline(results)
        theirs = next((known for known in libav.STRUCTURES if known == structure), None)
        preset = settings.get("preset")
        if theirs is None:
            raise UnsupportedError(f"its results name no structure, but {structure!r}")
        opened = Baseline(
            name, None if preset is None else str(preset), theirs, intra_period=period
        ).open()
        if not isinstance(opened, SequenceCodec):
            raise UnsupportedError("it codes pictures")
        return opened


def _results_of(entry: "Entry") -> "Results":
    if entry.results is None or not entry.rows:
        raise UnsupportedError("its results do not say how to run it")
    return entry.results


def _check_baseline(results: "Results") -> None:
    from kodec.eval.baselines import BASELINES, EXTERNAL

    if results.name not in BASELINES:
        raise UnsupportedError("its codec cannot be run here (a model file is named by --model)")
    if results.name in EXTERNAL:
        raise UnsupportedError("kodec brings no encoder of it")


def _check_settings(results: "Results", here: dict[str, Any]) -> None:
    # How many frames were taken is no setting of the codec's.
    differing = [
        key for key, value in results.settings.items() if key != "frames" and here.get(key) != value
    ]
    if differing:
        raise UnsupportedError(
            f"run here it would have other settings than its results: {', '.join(differing)}"
        )
