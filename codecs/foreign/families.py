"""Configs of published models, with widths read off the shapes of a checkpoint's tensors."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

State = Mapping[str, Tensor]
Config = dict[str, Any]

PUBLISHED = {"scales": "linear", "prior_filters": [3, 3, 3, 3], "centred_prior": True}


def _part(class_path: str, **arguments: Any) -> Config:
    return {"class_path": f"kodec.{class_path}", "init_args": arguments}


def _codec(transform: str, arguments: Config, latents: Config, **more: Config) -> Config:
    return _part(
        "codecs.PictureCodec",
        analysis=_part(f"models.{transform}Analysis", **arguments),
        latents=latents,
        synthesis=_part(f"models.{transform}Synthesis", **arguments),
        **more,
    )


def _gdn(latents: str) -> Callable[[State], Config]:
    """Models with GDN transforms."""

    def config(state: State) -> Config:
        width, channels = len(state["g_a.0.weight"]), len(state["g_a.6.weight"])
        if latents == "FactorisedLatents":
            arguments = {"filters": [3, 3, 3, 3], "centred": True}
        else:
            arguments = {"hyper": len(state["h_a.0.weight"]), **PUBLISHED}
        return _codec(
            "GDN",
            {"width": width, "latents": channels},
            _part(f"entropy.{latents}", channels=channels, **arguments),
        )

    return config


def _cheng(attention: bool) -> Callable[[State], Config]:
    def config(state: State) -> Config:
        width = len(state["g_a.0.conv1.weight"])
        raster = _part(
            "entropy.RasterAutoregression",
            channels=width,
            hyper=width,
            networks="cheng2020",
            **PUBLISHED,
        )
        return _codec("Residual", {"width": width, "attention": attention}, raster)

    return config


def _elic(state: State) -> Config:
    width, channels = len(state["g_a.0.weight"]), len(state["g_a.13.weight"])
    spatial = {n: t for n, t in state.items() if n.endswith(".context_prediction.weight")}
    slices = [t.shape[1] for _, t in sorted(spatial.items())]
    latents = _part(
        "entropy.UnevenSlices", channels=channels, hyper=width, slices=slices, **PUBLISHED
    )
    return _codec("ELIC", {"width": width, "latents": channels}, latents)


def _mlic(state: State) -> Config:
    width = len(state["h_a.reduction.0.weight"])
    channels = state["h_a.reduction.0.weight"].shape[1]
    count = sum(name.startswith("lrp_anchor.") and name.endswith(".0.bias") for name in state)
    latents = _part(
        "entropy.MultiReference", channels=channels, hyper=width, count=count, **PUBLISHED
    )
    arguments = {"width": width, "latents": channels, "activation": "gelu"}
    return _codec("Residual", arguments, latents)


def _segpic(state: State) -> Config:
    def widths(name: str, *numbers: int) -> list[int]:
        return [len(state[f"{name}.{number}.bias"]) for number in numbers]

    tables = [
        state[f"{part}.2.conv_b.0.attn.relative_position_bias_table"] for part in ("g_a1", "g_a2")
    ]
    width, channels = len(state["g_a1.0.conv_groups.0.weight"]), len(state["h_a.0.weight"])
    transform = {
        "width": width,
        "latents": channels,
        "heads": tables[0].shape[1],
        # (2 window - 1)^2 biases each.
        "windows": [(math.isqrt(len(table)) + 1) // 2 for table in tables],
    }
    adaptation = _part(
        "entropy.RegionAdaptation",
        channels=channels,
        features=[channels, channels],
        analysis=widths("g_ab2", 0, 2, 4),
        synthesis=widths("g_sb2", 0, 2),
        centred=True,
    )
    count = sum(re.fullmatch(r"lrp_transforms\.\d+\.0\.bias", name) is not None for name in state)
    last = state[f"cc_mean_transforms.{count - 1}.0.weight"]
    latents = _part(
        "entropy.ChannelSlices",
        channels=channels,
        hyper=len(state["h_a.8.weight"]),
        count=count,
        support=(last.shape[1] - channels) // (channels // count),
        widths=widths("cc_mean_transforms.0", 0, 2, 4, 6),
        kernel=last.shape[2],
        activation="gelu",
        networks="stf2022",
        adaptation=adaptation,
        **PUBLISHED,
    )
    side = _part(
        "entropy.RegionPrototypes",
        channels=width,
        analysis=widths("g_ab", 0, 2, 4),
        synthesis=widths("g_sb", 0, 2),
        centred=True,
    )
    return _codec("RegionAdaptive", transform, latents, side=side)


def _ssf(state: State) -> Config:
    return _part(
        "codecs.ScaleSpaceFlow",
        width=len(state["img_encoder.0.weight"]),
        latents=len(state["img_encoder.6.weight"]),
        hyper=len(state["img_hyperprior.hyper_encoder.4.weight"]),
    )


CONFIGS: dict[str, Callable[[State], Config]] = {
    "bmshj2018-factorized": _gdn("FactorisedLatents"),
    "bmshj2018-hyperprior": _gdn("ScaleHyperprior"),
    "mbt2018-mean": _gdn("MeanScaleHyperprior"),
    "mbt2018": _gdn("RasterAutoregression"),
    "cheng2020-anchor": _cheng(attention=False),
    "cheng2020-attn": _cheng(attention=True),
    "elic": _elic,
    "mlic++": _mlic,
    "segpic": _segpic,
    "ssf2020": _ssf,
}
