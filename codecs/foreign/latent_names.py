"""What the latent models' tensors are called in public code, and how they are laid out there.

One entry a family; its rules turn names of everything but `g_a` and `g_s` into those of a
`PictureCodec`'s `latents`, or of each of a `ScaleSpaceFlow`'s parts. Tensors that give scales
before means, and 1x1 convolutions that are linear layers here, are rearranged by `rearranged`.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from .renaming import Rules, prior_rules
from .transform_names import CLOSED_LOOP, region_adaptive_rules

_PRIOR: Rules = prior_rules("entropy_bottleneck", "latents.hyper_prior")
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

_SLICE = r"latents.slices.\1."
_LOCAL = r"^(latents\.slices\.\d+\.contexts\.local\.)"
_GLOBAL = r"^(latents\.slices\.\d+\.contexts\.int(?:er|ra)\.)"
_HEADS = r"^(latents\.slices\.\d+\.heads\.\d\.layers\.)"
_MLIC: Rules = (
    *_PRIOR,
    (r"^h_a\.reduction\.", "latents.hyper_analysis."),
    (r"^h_s\.increase\.", "latents.hyper_synthesis."),
    (r"^channel_context\.(\d+)\.fushion\.", _SLICE + "contexts.channel.layers."),
    (r"^global_(int(?:er|ra))_context\.(\d+)\.", r"latents.slices.\2.contexts.\1."),
    (r"^local_context\.(\d+)\.", _SLICE + "contexts.local."),
    (r"^entropy_parameters_anchor\.(\d+)\.fusion\.", _SLICE + "heads.0.layers."),
    (r"^entropy_parameters_nonanchor\.(\d+)\.fusion\.", _SLICE + "heads.1.layers."),
    (r"^lrp_anchor\.(\d+)\.lrp_transform\.", _SLICE + "residuals.0.layers."),
    (r"^lrp_nonanchor\.(\d+)\.lrp_transform\.", _SLICE + "residuals.1.layers."),
    # Every second layer is an activation there.
    (_HEADS + r"2\.", r"\g<1>1."),
    (_HEADS + r"4\.", r"\g<1>2."),
    (_HEADS + r"6\.", r"\g<1>3."),
    (_GLOBAL + r"reprojection\.", r"\1reproject."),
    (_GLOBAL + r"mlp\.", r"\1mix."),
    (_LOCAL + r"norm1\.", r"\1normalise."),
    (_LOCAL + r"norm2\.", r"\1normalise_fused."),
    (_LOCAL + r"qkv_proj\.", r"\1project."),
    (_LOCAL + r"proj\.", r"\1join."),
    (_LOCAL + r"fusion\.", r"\1fuse."),
    (_LOCAL + r"mlp\.fc1\.", r"\1feed_forward.0."),
    (_LOCAL + r"mlp\.fc2\.", r"\1feed_forward.2."),
    (_LOCAL + r"relative_position_table$", r"\1bias_table"),
)

_ADAPT = "latents.adaptation."
_SEGPIC: Rules = (
    *_PRIOR,
    *prior_rules("entropy_bottleneck_b2", _ADAPT + "prototypes.prior"),
    (r"^h_a\.", "latents.hyper_analysis."),
    (r"^h_mean_s\.", "latents.hyper_synthesis.means."),
    (r"^h_scale_s\.", "latents.hyper_synthesis.scales."),
    (r"^g_ab2\.", _ADAPT + "prototypes.analysis."),
    (r"^g_sb2\.", _ADAPT + "prototypes.synthesis."),
    (r"^dyn_enc_hyper\.", _ADAPT + "before."),
    (r"^dyn_dec_hyper_means\.", _ADAPT + "after.0."),
    (r"^dyn_dec_hyper_scales\.", _ADAPT + "after.1."),
    *region_adaptive_rules(r"latents\.adaptation\.(?:before|after\.\d)"),
    (r"^cc_(mean|scale)_transforms\.(\d+)\.", r"latents.slices.\2.contexts.\1.layers."),
    (r"^lrp_transforms\.(\d+)\.", _SLICE + "residuals.0.layers."),
)


def _closed_loop(theirs: str, ours: str) -> Rules:
    """Names of one of `ssf2020`'s hyperpriors."""
    scales = rf"^{theirs}\.hyper_decoder_scale\.deconv"
    return (
        *prior_rules(rf"{theirs}\.entropy_bottleneck", f"{ours}.hyper_prior"),
        (rf"^{theirs}\.hyper_encoder\.", f"{ours}.hyper_analysis."),
        (rf"^{theirs}\.hyper_decoder_mean\.", f"{ours}.hyper_synthesis.means."),
        # Every second layer is an activation here.
        *((f"{scales}{n}\\.", f"{ours}.hyper_synthesis.scales.{2 * n - 2}.") for n in (1, 2, 3)),
    )


LATENT_NAMES: dict[str, Rules] = {
    "bmshj2018-factorized": prior_rules("entropy_bottleneck", "latents.prior"),
    "bmshj2018-hyperprior": _HYPER,
    "mbt2018-mean": _HYPER,
    "mbt2018": _RASTER,
    "cheng2020-anchor": _RASTER,
    "cheng2020-attn": _RASTER,
    "elic": _ELIC,
    "mlic++": _MLIC,
    "segpic": _SEGPIC,
    "ssf2020": tuple(
        rule
        for theirs, ours in CLOSED_LOOP.items()
        for rule in _closed_loop(f"{theirs}_hyperprior", f"{ours}.latents")
    ),
}

# Constants and tables that are made anew here, and tensors that SegPIC's checkpoints hold twice.
_LEFT_OUT = re.compile(
    r"(^basic_[ED]\..*|_offset|_quantized_cdf|_cdf_length|\.target|\.bound|scale_bound|scale_table|\.mask"
    r"|relative_position_index)$"
)
# Layers whose outputs are scales, then means; here it is means, then scales.
_SCALES_FIRST: dict[str, str] = {
    "mbt2018-mean": r"^latents\.hyper_synthesis\.4\.",
    "mbt2018": r"^latents\.head\.layers\.2\.",
    "cheng2020-anchor": r"^latents\.head\.layers\.2\.",
    "cheng2020-attn": r"^latents\.head\.layers\.2\.",
    "elic": r"^latents\.slices\.\d+\.heads\.0\.layers\.2\.",
    "mlic++": r"^latents\.(hyper_synthesis\.8|slices\.\d+\.heads\.\d\.layers\.3)\.",
}
# Where the hyper-synthesis itself gives scales first: the layers that read it, in their last
# columns, and the tensor that says how many those are.
_READ_HYPER: dict[str, tuple[str, str]] = {
    "mlic++": (
        r"^latents\.slices\.\d+\.heads\.\d\.layers\.0\.weight$",
        "latents.hyper_synthesis.8.bias",
    ),
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
        if family in _READ_HYPER and re.search(_READ_HYPER[family][0], name):
            width = len(state[_READ_HYPER[family][1]])
            others, hyper = tensor[:, :-width], tensor[:, -width:]
            tensor = torch.cat([others, *hyper.chunk(2, dim=1)[::-1]], dim=1)
        out[name] = tensor
    return out
