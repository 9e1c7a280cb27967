"""What the latent models' tensors are called in public code, and how they are laid out there.

One entry a family; its rules turn names of everything but `g_a` and `g_s` into those of a
`PictureCodec`'s `latents`. Tensors that give scales before means, and 1x1 convolutions that are
linear layers here, are rearranged by `rearranged`.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from .renaming import Rules

_PRIOR: Rules = (
    (r"^entropy_bottleneck\._?matri(?:x|ces)\.?(\d)$", r"latents.hyper_prior.matrices.\1"),
    (r"^entropy_bottleneck\._?bias(?:es)?\.?(\d)$", r"latents.hyper_prior.biases.\1"),
    (r"^entropy_bottleneck\._?factors?\.?(\d)$", r"latents.hyper_prior.factors.\1"),
    (r"^entropy_bottleneck\.quantiles$", "latents.hyper_prior.centre"),
)
_HYPER: Rules = (
    *_PRIOR,
    (r"^h_a\.", "latents.hyper_analysis."),
    (r"^h_s\.", "latents.hyper_synthesis."),
)
_RASTER: Rules = (
    *_HYPER,
    (r"^context_prediction\.", "latents.context."),
    (r"^entropy_parameters\.0\.", "latents.head.layers.0."),
    (r"^entropy_parameters\.2\.", "latents.head.layers.1."),
    (r"^entropy_parameters\.4\.", "latents.head.layers.2."),
)
_NESTED: Rules = ((r"^latent_codec\.(?:latent_codec\.)?hyper\.", ""), *_HYPER)
_HEAD = r"entropy_parameters\."
_GROUP = r"^latent_codec\.(?:latent_codec\.)?y\.latent_codec\.y(\d+)\."
_ELIC: Rules = (
    *_NESTED,
    (_GROUP + r"context_prediction\.", r"latents.slices.\1.contexts.spatial."),
    (_GROUP + _HEAD + r"0\.", r"latents.slices.\1.heads.0.layers.0."),
    (_GROUP + _HEAD + r"2\.", r"latents.slices.\1.heads.0.layers.1."),
    (_GROUP + _HEAD + r"4\.", r"latents.slices.\1.heads.0.layers.2."),
    (
        r"^latent_codec\.(?:latent_codec\.)?y\.channel_context\.y(\d+)\.",
        r"latents.slices.\1.contexts.channel.layers.",
    ),
)

LATENT_NAMES: dict[str, Rules] = {
    "bmshj2018-factorized": tuple(
        (pattern, name.replace("hyper_prior", "prior")) for pattern, name in _PRIOR
    ),
    "bmshj2018-hyperprior": _HYPER,
    "mbt2018-mean": _HYPER,
    "mbt2018": _RASTER,
    "cheng2020-anchor": _RASTER,
    "cheng2020-attn": _RASTER,
    "elic": _ELIC,
}

# Constants and tables that are made anew here.
_LEFT_OUT = re.compile(
    r"(_offset|_quantized_cdf|_cdf_length|\.target|\.bound|scale_bound|scale_table|\.mask)$"
)
# Layers whose outputs are scales, then means; here it is means, then scales.
_SCALES_FIRST: dict[str, str] = {
    "mbt2018-mean": r"^latents\.hyper_synthesis\.4\.",
    "mbt2018": r"^latents\.head\.layers\.2\.",
    "cheng2020-anchor": r"^latents\.head\.layers\.2\.",
    "cheng2020-attn": r"^latents\.head\.layers\.2\.",
    "elic": r"^latents\.slices\.\d+\.heads\.0\.layers\.2\.",
}


def without_constants(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that were learned."""
    return {name: tensor for name, tensor in state.items() if not _LEFT_OUT.search(name)}


def rearranged(family: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under their names here, in the layout that they have here."""
    out = {}
    for name, tensor in state.items():
        if name.endswith("prior.centre"):
            # Quantiles (C, 1, 3); the middle one is what values are rounded about.
            tensor = tensor[:, 0, 1]
        if re.search(r"\b(head|heads\.\d+)\.layers\.\d+\.weight$", name):
            tensor = tensor.flatten(1)
        if family in _SCALES_FIRST and re.search(_SCALES_FIRST[family], name):
            tensor = torch.cat(tensor.chunk(2)[::-1])
        out[name] = tensor
    return out
