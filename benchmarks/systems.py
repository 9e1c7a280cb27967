"""Seconds that every published system takes for a picture, CompressAI's own models beside them.

    python benchmarks/systems.py [--configs mbt2018-mean,elic] [--runs 5] [--threads 1]
                                 [--serial-runs 2] [--picture FILE] [--json REPORT.json]

Pixels in memory to bytes and back. A config with a counterpart in CompressAI has that model's
weights, through `kodec import`, so that both code the same latents: drawn at random, then set so
that latents spread from 0.05 to 2 steps and scales fit them. Where there is no counterpart, the
config's own random weights are set likewise, and its times stand alone.

Each system is timed in both portability classes: local, whose entropy path runs in float32 as
CompressAI's does, and whose files other machines may not read, as CompressAI's; and guarded, the
default, in float64. Contestants take turns in every run, in an order that turns round; what is
reported are medians of the seconds, and of the ratios to CompressAI in the same run. With one
thread seconds are the process' CPU time, which a busy machine disturbs less, else they pass by.

Serial orders take CompressAI long: see --serial-runs. Every contestant decodes what it wrote, and
pixels must agree within 0.1 levels on average. Files are held against CompressAI's likelihoods:
ours with the scales that the networks predict, CompressAI's with these as its table of 64 rounds
them up. Random weights predict scales too small for many latents, so that rounding up saves up to
some percent, and so do escapes in place of a Gaussian's tail: files may be 1 % and 64 bytes larger
than that, and 3 % smaller.
"""

import statistics
import sys
import tempfile
import time
from argparse import ArgumentTypeError
from collections import defaultdict
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor, nn

import kodec.native
import kodec.train
from kodec.codecs import (
    Codec,
    ModelInfo,
    PictureCodec,
    build_module,
    load_model,
    read_picture,
    to_array,
    to_tensor,
)
from kodec.codecs.foreign import import_checkpoint
from kodec.codecs.model_file import model_id
from kodec.entropy import Conditions, RateMeter
from kodec.eval import describe_machine, find_dataset
from kodec.native import InvalidInputError, KodecError
from reporting import parser_of, run, write_json

CONFIGS = Path(kodec.train.__file__).parent / "configs"
LIMIT, SERIAL_LIMIT = 1.1, 0.2
# Of what is the same codec with the same weights, in other arithmetic.
MOST_BYTES_MORE, MOST_BYTES_LESS, MOST_LEVELS_APART = 0.01, 0.03, 0.1
STREAM_BYTES = 64
SERIAL = ("mbt2018", "cheng2020-anchor", "cheng2020-attn")
SPREAD = (0.05, 2.0)

Pixels = NDArray[np.uint8]
Config = dict[str, Any]
Times = dict[str, dict[str, list[float]]]


def published(family: str) -> Any:
    """CompressAI's model of the size of our config, with random weights; None without one."""
    from compressai import models
    from compressai.models.sensetime import Elic2022Official

    makers: dict[str, Callable[[], nn.Module]] = {
        "bmshj2018-factorized": lambda: models.FactorizedPrior(128, 192),
        "bmshj2018-hyperprior": lambda: models.ScaleHyperprior(128, 192),
        "mbt2018-mean": lambda: models.MeanScaleHyperprior(128, 192),
        "mbt2018": lambda: models.JointAutoregressiveHierarchicalPriors(192, 192),
        "cheng2020-anchor": lambda: models.Cheng2020Anchor(128),
        "cheng2020-attn": lambda: models.Cheng2020Attention(128),
        "elic": lambda: Elic2022Official(192, 320),
    }
    return makers[family]().eval() if family in makers else None


def fixed_rate_configs() -> list[str]:
    """Names of the configs of one rate: published systems are."""
    found = []
    for path in sorted(CONFIGS.glob("*.yaml")):
        if codec_section(path.stem)["init_args"].get("gain") is None:
            found.append(path.stem)
    return found


def codec_section(name: str) -> Config:
    """What a config says of its codec."""
    section: Config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["model"]["codec"]
    return section


def last_layer(module: nn.Module) -> Any:
    """The last convolution or linear layer that is not inside an attention block."""
    layers = [
        layer
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
        and not any(part in name for part in ("conv_a", "conv_b", "trunk", "gate", "affine"))
    ]
    return layers[-1]


def spread(channels: int) -> Tensor:
    """Standard deviations of the latents' channels, in quantisation steps."""
    low, high = np.log(SPREAD)
    return torch.linspace(float(high), float(low), channels).exp()


@torch.no_grad()
def set_spread(analysis: nn.Module, apply: Callable[[], Tensor], deviations: Tensor) -> Tensor:
    """Scale the analysis' last layer so that its outputs have mean 0 and these deviations.

    Returns those outputs. (Attention behind that layer is left out of this: it adds little.)
    """
    layer = last_layer(analysis)
    y = apply()
    deviation, mean = torch.std_mean(y[0].flatten(1), dim=1)
    factor = deviations / deviation.clamp_min(1e-9)
    layer.weight.mul_(factor[:, None, None, None])
    layer.bias.sub_(mean).mul_(factor)
    return (y - mean[:, None, None]) * factor[:, None, None]


@torch.no_grad()
def set_scales(layer: Any, scales: Tensor, log: bool, before_means: bool) -> None:
    """Let a layer predict about these scales, and means about 0."""
    channels = len(scales)
    layer.weight.mul_(0.1)
    layer.bias.zero_()
    place = slice(0, channels) if before_means else slice(-channels, None)
    layer.bias[place] = scales.log() if log else scales


def their_parameter_layers(model: Any) -> Iterator[Any]:
    """CompressAI's layers that give scales, in the order of the latents that they are for."""
    if hasattr(model, "latent_codec"):
        for group in model.latent_codec["y"].latent_codec.values():
            yield last_layer(group.entropy_parameters)
    elif hasattr(model, "entropy_parameters"):
        yield last_layer(model.entropy_parameters)
    elif hasattr(model, "h_s"):
        yield last_layer(model.h_s)


@torch.no_grad()
def fit_bottleneck(prior: Any, deviations: Tensor) -> None:
    """Narrow CompressAI's factorised density from its start to these deviations."""
    narrower = 4 / deviations.clamp_min(0.2)
    steep = nn.functional.softplus(prior.matrices[0]) * narrower[:, None, None]
    prior.matrices[0].copy_(steep + torch.log(-torch.expm1(-steep)))
    low = torch.full((prior.channels, 1, 1), -100.0)
    for column, target in enumerate((-prior.target[2], 0.0, prior.target[2])):
        below, above = low.clone(), -low
        for _ in range(50):
            middle = (below + above) / 2
            less = prior._logits_cumulative(middle, stop_gradient=True) < target
            below, above = torch.where(less, middle, below), torch.where(less, above, middle)
        prior.quantiles[:, :, column] = middle[..., 0]


def make_theirs(family: str, x: Tensor) -> Any:
    """CompressAI's model with random weights that code the picture `x` sensibly; or None."""
    model = published(family)
    if model is None:
        return None
    hyper = model.latent_codec["hyper"] if hasattr(model, "latent_codec") else model
    channels = len(last_layer(model.g_a).bias)
    deviations = spread(channels)
    y = set_spread(model.g_a, lambda: model.g_a(x), deviations)
    if hasattr(hyper, "h_a"):
        width = len(last_layer(hyper.h_a).bias)
        shown = y.abs() if family == "bmshj2018-hyperprior" else y
        set_spread(hyper.h_a, lambda: hyper.h_a(shown), torch.full((width,), 2.0))
    else:
        fit_bottleneck(model.entropy_bottleneck, deviations)
    start = 0
    for layer in their_parameter_layers(model):
        count = len(layer.bias) // (1 if family == "bmshj2018-hyperprior" else 2)
        set_scales(layer, deviations[start : start + count], False, before_means=True)
        start += count
    return model


def make_ours_alone(section: Config, x: Tensor) -> dict[str, Tensor]:
    """Weights of a config without a counterpart, set like those of `make_theirs`."""
    network: Any = build_module(section)
    network.eval()
    latents = network.latents
    rows, columns = x.shape[-2] // network.stride, x.shape[-1] // network.stride
    cond = Conditions(torch.Size((1, latents.channels, rows, columns)))

    def analyse() -> Tensor:
        y: Tensor = network._analyse(x, cond, RateMeter(training=False))[0]
        return y

    deviations = spread(latents.channels)
    y = set_spread(network.analysis, analyse, deviations)
    if hasattr(latents, "hyper_analysis"):
        width = len(last_layer(latents.hyper_analysis).bias)
        set_spread(
            latents.hyper_analysis,
            lambda: latents.hyper_analysis(latents.hyper_input(y)),
            torch.full((width,), 2.0),
        )
    start = 0
    for part in getattr(latents, "slices", ()):
        scales = deviations[start : start + part.channels]
        start += part.channels
        # Heads that only join contexts have no layers of their own.
        predicting = [part.contexts["scale"]] if "scale" in part.contexts else part.heads
        for network_of_scales in predicting:
            set_scales(last_layer(network_of_scales), scales, latents.log_scales, False)
    if not hasattr(latents, "slices") and hasattr(latents, "hyper_synthesis"):
        set_scales(last_layer(latents.hyper_synthesis), deviations, latents.log_scales, False)
    state: dict[str, Tensor] = network.state_dict()
    return state


def imported(model: Any, family: str) -> dict[str, Tensor]:
    """What `kodec import` makes of CompressAI's weights."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, file = Path(folder) / "theirs.pth", Path(folder) / "ours.safetensors"
        torch.save(model.state_dict(), checkpoint)
        import_checkpoint(checkpoint, file, family)
        return load_model(file)[0].state_dict()


def make_codec(name: str, section: Config, state: dict[str, Tensor], portability: str) -> Codec:
    """The config's codec with these weights, ready to code."""
    section = deepcopy(section)
    section["init_args"]["portability"] = portability
    network = build_module(section)
    assert isinstance(network, PictureCodec)
    network.load_state_dict(state)
    network.deploy()
    return Codec(network, ModelInfo(name, section, model_id(network, section)))


class Peer:
    """CompressAI's model behind the two calls that are timed."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.network.update(force=True)

    @torch.inference_mode()
    def encode(self, pixels: Pixels) -> dict[str, Any]:
        """Pixels to streams."""
        out: dict[str, Any] = self.network.compress(to_tensor(pixels).contiguous())
        return out

    @torch.inference_mode()
    def decode(self, coded: dict[str, Any]) -> Pixels:
        """Streams to pixels."""
        decoded = self.network.decompress(**{k: coded[k] for k in ("strings", "shape")})
        return to_array(decoded["x_hat"], 3)


def stream_bytes(coded: Any) -> int:
    """Bytes of a file, or of CompressAI's nested lists of streams."""
    if isinstance(coded, bytes):
        return len(coded)
    if isinstance(coded, dict):
        return stream_bytes(coded["strings"])
    return sum(stream_bytes(part) for part in coded)


@torch.inference_mode()
def expected_bytes(theirs: Any, x: Tensor) -> tuple[float, float]:
    """Bytes by likelihoods of `x`: with scales as predicted, and rounded up as `Peer` does."""
    from compressai.entropy_models import GaussianConditional

    latents = {"predicted": 0.0, "rounded": 0.0}
    forward = GaussianConditional.forward

    def count(self: Any, y: Tensor, scales: Tensor, means: Any = None, training: Any = None) -> Any:
        coded, likelihood = forward(self, y, scales, means, training)
        rounded = self.scale_table[self.build_indexes(scales)]
        again = self._likelihood(coded, rounded, means).clamp_min(1e-9)
        latents["predicted"] -= float(likelihood.log2().sum()) / 8
        latents["rounded"] -= float(again.log2().sum()) / 8
        return coded, likelihood

    with patch.object(GaussianConditional, "forward", count):
        likelihoods = theirs(x)["likelihoods"]
    total = -sum(float(value.log2().sum()) / 8 for value in likelihoods.values())
    return total, total - latents["predicted"] + latents["rounded"]


class Race:
    """Contestants that take turns: seconds of encoding and decoding by name."""

    def __init__(self, contestants: dict[str, Any], pixels: Pixels, clock: Callable[[], float]):
        self.contestants = contestants
        self.pixels = pixels
        self.clock = clock
        self.times: Times = defaultdict(lambda: defaultdict(list))
        self.sizes: dict[str, int] = {}
        self.decoded: dict[str, Pixels] = {}

    def _timed(self, work: Callable[[], Any]) -> tuple[float, Any]:
        start = self.clock()
        result = work()
        return self.clock() - start, result

    def take_turns(self, backwards: bool) -> None:
        """Each contestant encodes, then decodes what it wrote."""
        for name in list(self.contestants)[:: -1 if backwards else 1]:
            coder = self.contestants[name]
            encoding, coded = self._timed(lambda c=coder: c.encode(self.pixels))  # type: ignore[misc]
            decoding, decoded = self._timed(lambda c=coder, d=coded: c.decode(d))  # type: ignore[misc]
            self.sizes[name] = stream_bytes(coded)
            self.decoded[name] = decoded
            self.times[name]["encode"].append(encoding)
            self.times[name]["decode"].append(decoding)

    def check(self, config: str, expected: dict[str, float]) -> None:
        """Raise `KodecError` where contestants differ in more than rounding.

        expected: bytes that a file should have, of those contestants of which it is known.
        """
        first, *others = self.contestants
        for name, size in expected.items():
            more = self.sizes[name] - size
            if not -MOST_BYTES_LESS * size <= more <= MOST_BYTES_MORE * size + STREAM_BYTES:
                raise KodecError(f"{config}: {name} wrote {self.sizes[name]} bytes for {size:.0f}")
        for name in others:
            pixels = np.abs(self.decoded[name].astype(int) - self.decoded[first]).mean()
            if pixels > MOST_LEVELS_APART:
                raise KodecError(f"{config}: {name} and {first} differ by {pixels:.3f} levels")

    def outcome(self) -> Config:
        """Medians of seconds, by contestant, and of the ratios to CompressAI in the same run."""
        found: Config = {}
        for name, by_verb in self.times.items():
            found[name] = {"bytes": self.sizes[name]}
            for verb, seconds in by_verb.items():
                found[name][verb] = {"median": statistics.median(seconds), "all": seconds}
                if "CompressAI" in self.times and name != "CompressAI":
                    peer = self.times["CompressAI"][verb]
                    ratios = [a / b for a, b in zip(seconds, peer, strict=True)]
                    found[name][verb]["ratio"] = statistics.median(ratios)
        return found


def measure(name: str, pixels: Pixels, runs: int, clock: Callable[[], float]) -> Config:
    """All contestants of one config."""
    torch.manual_seed(0)
    section = codec_section(name)
    x = to_tensor(pixels).contiguous()
    theirs = make_theirs(name, x)
    state = make_ours_alone(section, x) if theirs is None else imported(theirs, name)
    contestants: dict[str, Any] = {}
    expected = {}
    if theirs is not None:
        contestants["CompressAI"] = Peer(theirs)
        predicted, rounded = expected_bytes(theirs, x)
        expected = {"CompressAI": rounded, "local": predicted, "guarded": predicted}
    for portability in ("local", "guarded"):
        contestants[portability] = make_codec(name, section, state, portability)
    race = Race(contestants, pixels, clock)
    for number in range(runs):
        race.take_turns(backwards=number % 2 == 1)
        print(f"\r{name}: run {number + 1}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    race.check(name, expected)
    outcome = race.outcome()
    for contestant, size in expected.items():
        outcome[contestant]["expected_bytes"] = round(size)
    return outcome


def row(name: str, outcome: Config) -> str:
    """A line of the table."""

    def cell(contestant: str, verb: str) -> str:
        if contestant not in outcome:
            return "-"
        found = outcome[contestant][verb]
        ratio = f" ({found['ratio']:.2f})" if "ratio" in found else ""
        return f"{found['median']:.2f}{ratio}"

    cells = [
        cell(contestant, verb)
        for verb in ("encode", "decode")
        for contestant in ("CompressAI", "local", "guarded")
    ]
    sizes = [f"{found['bytes']:,}" for found in outcome.values()]
    return f"| `{name}` | " + " | ".join(cells) + f" | {', '.join(sizes)} |"


def over_limit(outcomes: dict[str, Config]) -> list[str]:
    """Which ratios are beyond what is allowed."""
    found = []
    for name, outcome in outcomes.items():
        limit = SERIAL_LIMIT if name in SERIAL else LIMIT
        for contestant in ("local", "guarded"):
            for verb in ("encode", "decode"):
                ratio = outcome[contestant][verb].get("ratio")
                if ratio is not None and ratio > limit:
                    found.append(f"{name}, {contestant}, {verb}: {ratio:.2f}, over {limit}")
    return found


def whole(text: str) -> int:
    """A whole number above zero."""
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"a whole number above zero, not {text!r}")
    return int(text)


def main() -> int:
    """Measure, print, and return the exit status."""
    parser = parser_of(__doc__)
    parser.add_argument("--configs", help="names, by default every config of one rate")
    parser.add_argument("--runs", type=whole, default=5)
    parser.add_argument("--serial-runs", type=whole, default=2, help="of serial orders")
    parser.add_argument("--threads", type=whole, default=1)
    parser.add_argument("--picture", type=Path, help="an RGB picture; by default kodim01")
    parser.add_argument("--json", type=Path, help="write the report")
    options = parser.parse_args()
    known = fixed_rate_configs()
    names = known if options.configs is None else options.configs.split(",")
    if unknown := [name for name in names if name not in known]:
        raise InvalidInputError(f"configs are {', '.join(known)}; not {', '.join(unknown)}")
    torch.set_num_threads(options.threads)
    kodec.native.set_threads(options.threads)
    path = options.picture or find_dataset("kodak")[0]
    pixels = read_picture(path).pixels
    clock = time.process_time if options.threads == 1 else time.perf_counter
    machine = describe_machine()
    print(
        f"{path.name}, {pixels.shape[1]}x{pixels.shape[0]}; {machine['cpu']}, {machine['cores']} "
        f"cores, {machine['threads']} threads, {machine['cpu_capability']}, torch "
        f"{machine['torch']}; medians of {options.runs} runs, (ratio to CompressAI)\n"
    )
    print("| config | encode: CompressAI | local | guarded ", end="")
    print("| decode: CompressAI | local | guarded | bytes |\n|---|---|---|---|---|---|---|---|")
    outcomes = {}
    for name in names:
        runs = options.serial_runs if name in SERIAL else options.runs
        outcomes[name] = measure(name, pixels, runs, clock)
        print(row(name, outcomes[name]), flush=True)
        over = over_limit(outcomes)
        if options.json is not None:
            report = {"picture": path.name, "machine": machine, "systems": outcomes, "over": over}
            write_json(options.json, report)
    print("\n" + ("\n".join(over) or "every ratio within its limit"))
    return 1 if over else 0


if __name__ == "__main__":
    run(main, "systems.py")
