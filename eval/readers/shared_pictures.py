"""Sets of pictures beside encoders' logs, which are of a picture each: over those that all have."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from kodec.eval.curves.pooling import sequence_key
from kodec.eval.metrics.metric_names import mean_value
from kodec.native import InvalidInputError

from .curve_set import CurveSet, codec_name

_AVERAGING = {"": "mean over images"}


def on_shared_pictures(*sides: Sequence[CurveSet]) -> list[list[CurveSet]]:
    """The sides, with logs of single pictures as one set a codec where results of sets have them.

    Pictures are matched by `sequence_key`, and logs' rates in kbps go by the size that results
    state. Every set is then of the pictures that all have, with a note where it had more. Without
    such results, such logs, or a picture in common, the sides are as they were.

    Raises InvalidInputError for two curves of one picture by one codec, logs of one codec with
    different points, and a log without a frame rate.
    """
    everything = [one for side in sides for one in side]
    results = [one for one in everything if _is_of_pictures(one)]
    sizes = {_key(member): member.size for one in results for member in one.members}
    logs: dict[tuple[str, str | None], dict[str, CurveSet]] = {}
    for one in everything:
        if one.sequence is not None and one.frames == 1:
            of_codec = logs.setdefault(_codec(one), {})
            if _key(one) in of_codec:
                raise InvalidInputError(
                    f"two curves of {one.sequence}: {of_codec[_key(one)].name} and {one.name}; "
                    "name the files of one codec"
                )
            of_codec[_key(one)] = one
    logs = {codec: own for codec, own in logs.items() if own.keys() & sizes.keys()}
    pictures = [{_key(member) for member in one.members} for one in results]
    shared = set(sizes).intersection(*pictures, *logs.values())
    if not logs or not shared:
        return [list(side) for side in sides]
    found = []
    for side in sides:
        cut, codecs = [], set()
        for one in side:
            own = logs.get(_codec(one), {})
            if _is_of_pictures(one):
                cut.append(_cut(one, shared))
            elif not any(one is other for other in own.values()):
                cut.append(one)
            elif _codec(one) not in codecs:
                codecs.add(_codec(one))
                cut.append(_pooled(_codec(one)[0], own, shared, sizes))
        found.append(cut)
    return found


def _is_of_pictures(one: CurveSet) -> bool:
    return one.sequence is None and bool(one.members) and all(m.frames is None for m in one.members)


def _key(one: CurveSet) -> str:
    return sequence_key(one.sequence or one.name)


def _codec(one: CurveSet) -> tuple[str, str | None]:
    return codec_name(one), one.dataset


def _cut(one: CurveSet, shared: Collection[str]) -> CurveSet:
    """A set of those of its pictures that are shared."""
    members = [member for member in one.members if _key(member) in shared]
    return one if len(members) == len(one.members) else _mean(one, members, len(one.members))


def _pooled(
    name: str,
    own: Mapping[str, CurveSet],
    shared: Collection[str],
    sizes: Mapping[str, tuple[int, int] | None],
) -> CurveSet:
    """One codec's sets of a picture each, by key, as a set of those that are shared."""
    members = [
        one if one.rate_unit == "bpp" else one.sized(sizes[key], None)
        for key, one in own.items()
        if key in shared
    ]
    first = members[0]
    for one in members:
        if sorted(one.settings) != sorted(first.settings):
            raise InvalidInputError(
                f"{first.name} has the points {', '.join(first.settings)}, {one.name} "
                f"{', '.join(one.settings)}: a mean needs the same points of all"
            )
    members = [one.points([one.settings.index(at) for at in first.settings]) for one in members]
    return _mean(replace(first, name=name), members, len(own))


def _mean(like: CurveSet, members: Sequence[CurveSet], before: int) -> CurveSet:
    """The mean of pictures' sets, which have the same points, of so many that there were."""
    names = [n for n in members[0].metrics if all(n in member.metrics for member in members)]
    few = f"{like.name}: {len(members)} of its {before} pictures, those that all have"
    ones = [1.0] * len(members)
    return replace(
        like,
        rates=tuple(sum(rates) / len(members) for rates in zip(*(m.rates for m in members))),
        rate_unit="bpp",
        metrics={
            name: tuple(
                mean_value(name, values, ones)
                for values in zip(*(member.metrics[name] for member in members))
            )
            for name in names
        },
        averaging=_AVERAGING,
        sequence=None,
        source=tuple(dict.fromkeys(source for member in members for source in member.source)),
        places=(),
        frames=None,
        size=None,
        fps=None,
        notes=(
            *dict.fromkeys(note for one in (like, *members) for note in one.notes),
            *([few] if len(members) < before else []),
        ),
        members=tuple(members),
    )
