"""What the transforms' tensors are called in CompressAI and in the authors' own code.

One entry a family; its rules turn names of the transforms, in most families `g_a` and `g_s`, into
those of a `PictureCodec`'s `analysis`, `synthesis` and `side`, or of a `ScaleSpaceFlow`'s parts,
and touch no others.
"""

from .renaming import Rules, prior_rules

_SEQUENCES: Rules = (
    (r"^g_a\.(?=\d)", "analysis.layers."),
    (r"^g_s\.(?=\d)", "synthesis.layers."),
)
_TRANSFORM = r"^((?:analysis|synthesis)\.layers\.\d+)"
_ATTENTION: Rules = (
    (_TRANSFORM + r"\.conv_a\.(\d)\.conv\.", r"\1.trunk.\2.layers."),
    (_TRANSFORM + r"\.conv_b\.(\d)\.conv\.", r"\1.gate.\2.layers."),
    (_TRANSFORM + r"\.conv_b\.", r"\1.gate."),
)
_RESIDUAL: Rules = (
    (_TRANSFORM + r"\.(?:conv1|subpel_conv)\.", r"\1.first."),
    (_TRANSFORM + r"\.(?:conv2|conv)\.", r"\1.second."),
    (_TRANSFORM + r"\.i?gdn\.", r"\1.normalise."),
    # The files that CompressAI offers for download still say "downsample".
    (_TRANSFORM + r"\.(?:upsample|downsample)\.", r"\1.skip."),
)
_BOTTLENECK: Rules = (
    (_TRANSFORM + r"\.conv1\.", r"\1.layers.0."),
    (_TRANSFORM + r"\.conv2\.", r"\1.layers.2."),
    (_TRANSFORM + r"\.conv3\.", r"\1.layers.4."),
)


def region_adaptive_rules(block: str) -> Rules:
    """What is inside `RegionAdaptive` blocks, whose own names here match `block`."""
    return (
        (rf"^({block})\.conv\.", r"\1.project."),
        (rf"^({block})\.k_sp_gen\.", r"\1.filters."),
        (rf"^({block})\.k_ch_gen\.", r"\1.gate."),
        (rf"^({block})\.conv_out\.", r"\1.out."),
    )


_PART = r"^((?:analysis|synthesis)\.(?:coarse|fine)\.\d)"
_REGION_ADAPTIVE: Rules = (
    (r"^g_a1\.", "analysis.fine."),
    (r"^g_a2\.", "analysis.coarse."),
    (r"^g_s0\.", "synthesis.coarse."),
    (r"^g_s1\.", "synthesis.fine."),
    (_PART + r"\.conv_groups\.0\.", r"\1.resample."),
    (_PART + r"\.conv_groups\.1\.", r"\1.normalise."),
    (_PART + r"\.scales_bias\.", r"\1.affine.layers."),
    (_PART + r"\.conv_a\.(\d)\.conv\.", r"\1.trunk.\2.layers."),
    (_PART + r"\.conv_b\.0\.attn\.relative_position_bias_table$", r"\1.gate.0.bias"),
    (_PART + r"\.conv_b\.0\.attn\.", r"\1.gate.0."),
    (_PART + r"\.conv_b\.(\d)\.conv\.", r"\1.gate.\2.layers."),
    (_PART + r"\.conv_b\.", r"\1.gate."),
    (r"^dyn_encoder\.", "analysis.adapt."),
    (r"^dyn_decoder\.", "synthesis.adapt."),
    *region_adaptive_rules(r"(?:analysis|synthesis)\.adapt"),
    (r"^g_ab\.", "side.analysis."),
    (r"^g_sb\.", "side.synthesis."),
    *prior_rules("entropy_bottleneck_b", "side.prior"),
)

_GDN = tuple(_SEQUENCES)
_CHENG = (*_SEQUENCES, *_ATTENTION, *_RESIDUAL)
_ELIC = (*_SEQUENCES, *_ATTENTION, *_BOTTLENECK)

CLOSED_LOOP = {"img": "keyframe", "motion": "motion", "res": "residual"}
"""What a closed loop's three autoencoders are called there, and here."""

TRANSFORM_NAMES: dict[str, Rules] = {
    "bmshj2018-factorized": _GDN,
    "bmshj2018-hyperprior": _GDN,
    "mbt2018-mean": _GDN,
    "mbt2018": _GDN,
    "cheng2020-anchor": _CHENG,
    "cheng2020-attn": _CHENG,
    "elic": _ELIC,
    "mlic++": (
        (r"^g_a\.analysis_transform\.", "analysis.layers."),
        (r"^g_s\.synthesis_transform\.", "synthesis.layers."),
        *_RESIDUAL,
    ),
    "segpic": _REGION_ADAPTIVE,
    "ssf2020": tuple(
        (rf"^{theirs}_{side}coder\.", f"{ours}.{transform}.layers.")
        for theirs, ours in CLOSED_LOOP.items()
        for side, transform in (("en", "analysis"), ("de", "synthesis"))
    ),
}
