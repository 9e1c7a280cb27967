"""A checkpoint under a config: the config is followed where it can be, or else refused."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kodec.codecs import first_not_finite
from kodec.native import InvalidInputError

from .finite import checkpoint_tensors

if TYPE_CHECKING:
    from .codec_training import CodecTraining


def check_resumable(module: "CodecTraining[Any]", checkpoint: dict[str, Any]) -> None:
    """Raise `InvalidInputError` where the run that is asked for can't go on from the checkpoint."""
    own = {name: value.shape for name, value in module.state_dict().items()}
    given = {name: value.shape for name, value in checkpoint["state_dict"].items()}
    differs = next((n for n in (*own, *given) if own.get(n) != given.get(n)), None)
    if differs is not None:
        raise InvalidInputError(
            f"the checkpoint is of another codec than the config describes: {differs} differs"
        )
    broken = first_not_finite(checkpoint_tensors(checkpoint))
    if broken is not None:
        raise InvalidInputError(
            f"the checkpoint is of a run that diverged ({broken} is not finite): go on from an "
            "earlier one, or start again with a lower model.learning_rate"
        )
    # What only the encoder looks at can change at any time; what weights start from can't any more.
    free = {name for names in module.codec.encoder_only_arguments().values() for name in names}
    for name, then, now in _changes(checkpoint["codec_config"], module.codec_config, "model.codec"):
        if name.rpartition(".")[2] not in free:
            raise InvalidInputError(
                f"the checkpoint is of another codec than the config describes: {name} is {then} "
                f"there and {now} here: give the same, or export it and let model.start_from name "
                "the model"
            )
    if module.start_from not in (None, checkpoint.get("start_from", module.start_from)):
        raise InvalidInputError(
            "a run that goes on has its checkpoint's weights: leave model.start_from or ckpt_path "
            "away"
        )
    step, most = checkpoint["global_step"], module.trainer.max_steps
    if 0 <= most < step:
        raise InvalidInputError(
            f"the checkpoint is of step {step}, beyond trainer.max_steps {most}: raise that"
        )


def _changes(then: Any, now: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    """Where two configs differ; what one of them lacks is of another version, and left out."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in then.keys() & now.keys():
            yield from _changes(then[key], now[key], f"{name}.{key}")
    elif then != now:
        yield name, then, now


def regrouped(state: dict[str, Any], groups: Sequence[Sequence[str]]) -> dict[str, Any]:
    """An optimiser's stored state, for other groups of the same parameters.

    groups: names of the parameters of each. Raises `InvalidInputError` where the state has no
    names, as those of earlier versions, and groups of other sizes.
    """
    stored = state["param_groups"]
    if "param_names" not in stored[0]:
        if [len(group["params"]) for group in stored] != [len(names) for names in groups]:
            raise InvalidInputError("the checkpoint was trained with another model.slow: give that")
        return state
    place = {
        name: number
        for group in stored
        for name, number in zip(group["param_names"], group["params"], strict=True)
    }
    names = [name for group in groups for name in group]
    count = iter(range(len(names)))
    return {
        "state": {
            number: state["state"][place[name]]
            for number, name in enumerate(names)
            if place[name] in state["state"]
        },
        "param_groups": [
            {**stored[0], "params": [next(count) for _ in group], "param_names": list(group)}
            for group in groups
        ],
    }
