"""Small codecs of every transform with every latent model: a new part joins by one line here."""

from collections.abc import Callable
from typing import Any


def part(class_path: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": f"kodec.{class_path}", "init_args": arguments}


# name: (analysis, synthesis, channels of the latents)
TRANSFORMS: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "gdn": (
        part("models.GDNAnalysis", width=6, latents=8),
        part("models.GDNSynthesis", width=6, latents=8),
        8,
    ),
    "residual": (
        part("models.ResidualAnalysis", width=8),
        part("models.ResidualSynthesis", width=8),
        8,
    ),
    "elic": (
        part("models.ELICAnalysis", width=6, latents=8),
        part("models.ELICSynthesis", width=6, latents=8),
        8,
    ),
    "swin": (
        part("models.SwinAnalysis", width=4, latents=8, heads=[1, 2, 2], window=4, enhancement=2),
        part("models.SwinSynthesis", width=4, latents=8, heads=[1, 2, 2], window=4, enhancement=2),
        8,
    ),
    "walloc": (
        part("models.WaLLoCAnalysis", levels=3, latents=8),
        part("models.WaLLoCSynthesis", levels=3, latents=8, width=8),
        8,
    ),
    "region adaptive": (
        part("models.RegionAdaptiveAnalysis", width=4, latents=8, heads=2),
        part("models.RegionAdaptiveSynthesis", width=4, latents=8, heads=2),
        8,
    ),
    "refined lapped": (
        part("models.RefinedLappedAnalysis", widths=[4, 4, 8]),
        part("models.RefinedLappedSynthesis", widths=[4, 4, 8], blocks=1),
        768,
    ),
}
# Of transforms that send side latents.
SIDES = {
    "region adaptive": part("entropy.RegionPrototypes", channels=4, analysis=[4, 3], synthesis=[4])
}
LATENTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "factorised": lambda channels: part("entropy.FactorisedLatents", channels=channels),
    "scale hyperprior": lambda channels: part(
        "entropy.ScaleHyperprior", channels=channels, hyper=4
    ),
    "mean-scale hyperprior": lambda channels: part(
        "entropy.MeanScaleHyperprior", channels=channels, hyper=4
    ),
    "checkerboard": lambda channels: part("entropy.Checkerboard", channels=channels, hyper=4),
    "channel slices": lambda channels: part(
        "entropy.ChannelSlices", channels=channels, hyper=4, count=2, widths=[4], kernel=3
    ),
    "channel slices, adaptive to regions": lambda channels: part(
        "entropy.ChannelSlices",
        channels=channels,
        hyper=4,
        count=2,
        widths=[4],
        kernel=3,
        adaptation=part(
            "entropy.RegionAdaptation",
            channels=channels,
            features=[channels, channels],
            analysis=[4, 3],
            synthesis=[4],
        ),
    ),
    "uneven slices": lambda channels: part(
        "entropy.UnevenSlices", channels=channels, hyper=4, slices=[3, 5], widths=[4]
    ),
    "multi-reference": lambda channels: part(
        "entropy.MultiReference", channels=channels, hyper=4, count=2, head=2
    ),
    "adaptive slices": lambda channels: part(
        "entropy.AdaptiveSlices", channels=channels, hyper=4, count=2, points=2
    ),
    "companded": lambda channels: part("entropy.CompandedIntegers", channels=channels),
    "raster": lambda channels: part("entropy.RasterAutoregression", channels=channels, hyper=4),
    "frequency slices": lambda channels: part(
        "entropy.FrequencySlices",
        slices=[2, 6, channels - 8] if channels > 8 else [3, 5],
        phases=[4, 2, 1] if channels > 8 else [4, 2],
        width=8,
        context=4,
        hyper=4,
        lagrangian=0.1,
    ),
}


def config_of(key: tuple[str, str, bool], portability: str = "guarded") -> dict[str, Any]:
    """A codec section as in a config: transform, latent model, whether it has a gain unit."""
    analysis, synthesis, channels = TRANSFORMS[key[0]]
    return part(
        "codecs.PictureCodec",
        analysis=analysis,
        latents=LATENTS[key[1]](channels),
        synthesis=synthesis,
        gain=part("entropy.GainUnit", channels=channels) if key[2] else None,
        portability=portability,
        side=SIDES.get(key[0]),
    )
