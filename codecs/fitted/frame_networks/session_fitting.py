"""The fitting of PFNR's sessions, one after the other, behind those that a file has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from kodec.codecs.fitted.fitted_model import Clip, FileFitting, FittedModel
from kodec.codecs.fitted.fitting import Figures, Show, nothing_shown
from kodec.codecs.fitted.schedule import Moment
from kodec.codecs.objective import DISTORTIONS
from kodec.entropy import RateMeter
from kodec.entropy.parameters import Quantised

from .frame_coding import quantised

HEAD = "head."
# The share of weights that a session has.
DENSITY = 0.5


@dataclass(frozen=True)
class Sessions:
    """A network, its tensors, and what its sessions are: frames, and shares as `time_of` takes."""

    network: nn.Module
    shapes: Mapping[str, torch.Size]
    lengths: tuple[int, ...]
    shares: tuple[float, ...]
    frame_size: tuple[int, int]


def time_of(place: int | Tensor, frames: int, share: float) -> Tensor:
    """(N, 2): of frames by their place in a session, and of the session."""
    own = torch.as_tensor(place).reshape(-1) / frames
    return torch.stack([own, torch.full_like(own, share)], 1)


@dataclass(frozen=True)
class Accumulated:
    """Weights that sessions have together, where they are, and each session's own network."""

    whole: dict[str, Tensor]
    union: dict[str, Tensor]
    own: list[dict[str, Tensor]]


def accumulated(
    shapes: Mapping[str, torch.Size], sessions: int, parameters: Mapping[str, Any]
) -> Accumulated:
    """Of masks and new weights as `PFNR.code` returns them."""
    whole = {name: torch.zeros(shape) for name, shape in shapes.items()}
    union = {name: torch.zeros(shape, dtype=torch.bool) for name, shape in shapes.items()}
    found = []
    for session in range(sessions):
        own = {}
        for name in shapes:
            values = parameters[f"{session}.{name}"].dequantise()
            if name.startswith(HEAD):
                own[name] = values
                continue
            mask = parameters[f"{session}.{name}/mask"]
            whole[name] = whole[name].masked_scatter(mask & ~union[name], values)
            union[name] = union[name] | mask
            own[name] = whole[name] * mask
        found.append(own)
    return Accumulated(whole, union, found)


def subnetworks(
    shapes: Mapping[str, torch.Size], sessions: int, parameters: Mapping[str, Any]
) -> list[dict[str, Tensor]]:
    """The weights of each session."""
    return accumulated(shapes, sessions, parameters).own


class SessionFitting(FileFitting):
    """The fitting of a `PFNR`: sessions in turn, with as many steps each.

    earlier: parameters of the `first` sessions, which stay as they are; the clip has the frames of
    the others. values: the weights, and a head of each session; scores, whose largest magnitudes
    are a session's mask; of sessions that have ended the masks, the union of them and the weights
    that they keep.
    """

    divides_steps = True

    def __init__(
        self,
        model: FittedModel,
        parts: Sessions,
        clip: Clip,
        earlier: Mapping[str, Any] | None = None,
        first: int = 0,
    ) -> None:
        self.model, self.parts, self.clip = model, parts, clip
        self.earlier, self.first = dict(earlier or {}), first
        self.new = range(first, len(parts.lengths))
        self.identity = {"architecture": str(model.architecture)}
        self.values: dict[str, Tensor] = {}
        self.masked = [name for name in parts.shapes if not name.startswith(HEAD)]
        before = accumulated(parts.shapes, first, self.earlier)
        for name, value in parts.network.named_parameters():
            begun = value.detach().clone()
            if name in self.masked:
                bound = 1 / max(1, begun[0].numel() if begun.dim() > 1 else len(begun)) ** 0.5
                self.values[name] = begun
                self.values[f"{name}/scores"] = torch.empty_like(begun).uniform_(-bound, bound)
                self.values[f"{name}/union"] = before.union[name].float()
                self.values[f"{name}/kept"] = before.whole[name].clone()
            for session in self.new:
                if name in self.masked:
                    self.values[f"{session}.{name}/mask"] = torch.zeros_like(begun)
                    self.values[f"{session}.{name}/step"] = torch.zeros(())
                else:
                    self.values[f"{session}.{name}"] = begun.clone()
        self.values["ended"] = torch.tensor(float(first))
        for name, state in self.values.items():
            kind = name.rpartition("/")[2]
            state.requires_grad_(kind not in ("union", "kept", "mask", "step", "ended"))
        height, width = clip.size.height, clip.size.width
        down, across = parts.frame_size
        self._padding = (0, across - width, 0, down - height)
        small = min(parts.frame_size) < 11
        self.distortion = DISTORTIONS["mse" if small else "l1-ssim"]

    def descend(self, moment: Moment) -> None:
        """Of one frame of the step's session."""
        count = len(self.new)
        session = self.new[min(count - 1, moment.step * count // moment.steps)]
        for ended in range(int(self.values["ended"]), session):
            self._end(ended)
        length = self.parts.lengths[session]
        place = int(torch.randint(length, ()))
        x = self._pixels(sum(self.parts.lengths[self.first : session]) + place)[None]
        own = {name: self._selected(name, session) for name in self.parts.shapes}
        time = time_of(place, length, self.parts.shares[session])
        out: Tensor = functional_call(self.parts.network, own, (time,))
        self.distortion(x, out).mean().backward()

    def measure(self) -> Figures:
        """Of new sessions as they are coded; those to come are what the present one gives."""
        with torch.no_grad():
            parameters = self._parameters()
            errors, bits = [], 0.0
            for session in range(len(self.parts.lengths)):
                meter = RateMeter(training=False)
                self.model.code(parameters, meter, session)
                if session >= self.first:
                    bits += sum(float(part.sum()) for part in meter.bits.values())
            shown = self.model.reconstruct(parameters)
            begin = sum(self.parts.lengths[: self.first])
            for number in range(self.clip.size.frames):
                frame = self.clip.tensor(number)
                drawn = shown.render(begin + number).clamp(0, 1)
                errors.append((drawn - frame).square().mean())
        error = torch.stack(errors)
        psnr = float((-10 * error.clamp(min=1e-10).log10()).mean())
        return Figures(float(error.mean()) * 255**2, bits / self.clip.size.pixels, psnr)

    def result(self, show: Show = nothing_shown) -> tuple[FittedModel, Mapping[str, Any]]:
        """See `FileFitting`."""
        with torch.no_grad():
            return self.model, self._parameters()

    def _pixels(self, number: int) -> Tensor:
        return functional.pad(self.clip.tensor(number)[None], self._padding, mode="replicate")[0]

    def _mask(self, name: str) -> Tensor:
        """Of the present scores: the largest magnitudes."""
        scores = self.values[f"{name}/scores"].detach().abs().flatten()
        kept = max(1, round(DENSITY * scores.numel()))
        threshold = scores.kthvalue(scores.numel() - kept + 1).values
        return (scores >= threshold).view(self.values[name].shape)

    def _selected(self, name: str, session: int) -> Tensor:
        if name not in self.masked:
            return self.values[f"{session}.{name}"]
        scores = self.values[f"{name}/scores"].abs()
        # Gradients pass to the scores unchanged.
        mask = self._mask(name).float() + scores - scores.detach()
        return self._weight(name) * mask

    def _weight(self, name: str) -> Tensor:
        """With what earlier sessions keep; a momentum would move it in the values themselves."""
        union, kept = self.values[f"{name}/union"].bool(), self.values[f"{name}/kept"]
        return torch.where(union, kept, self.values[name])

    @torch.no_grad()
    def _end(self, session: int) -> None:
        """A session's mask is kept, and its new weights are what they are decoded to."""
        self.values["ended"].fill_(session + 1)
        for name in self.masked:
            mask, union = self._mask(name), self.values[f"{name}/union"].bool()
            new = mask & ~union
            if bool(new.any()):
                coded = quantised({name: self.values[name].detach()[new]})[name]
                self.values[f"{session}.{name}/step"].copy_(coded.step)
                self.values[f"{name}/kept"].masked_scatter_(new, coded.dequantise())
            self.values[f"{session}.{name}/mask"].copy_(mask.float())
            self.values[f"{name}/union"].copy_((mask | union).float())

    def _parameters(self) -> dict[str, Any]:
        """What `PFNR.code` takes of all sessions, those that go on or are to come as they stand."""
        found = dict(self.earlier)
        union = {
            name: mask.clone()
            for name, mask in accumulated(self.parts.shapes, self.first, found).union.items()
        }
        ended = int(self.values["ended"])
        for session in self.new:
            heads = {
                name: self.values[f"{session}.{name}"].detach()
                for name in self.parts.shapes
                if name not in self.masked
            }
            for name, coded in quantised(heads).items():
                found[f"{session}.{name}"] = coded
            for name in self.masked:
                stored = self.values[f"{session}.{name}/mask"].bool()
                mask = stored if session < ended else self._mask(name)
                new = mask & ~union[name]
                values = self._weight(name).detach()[new]
                step = float(self.values[f"{session}.{name}/step"])
                found[f"{session}.{name}/mask"] = mask
                found[f"{session}.{name}"] = _in_steps(values, step)
                union[name] |= mask
        return found


def _in_steps(values: Tensor, step: float) -> Quantised:
    if not values.numel():
        return Quantised(values.int(), torch.tensor(2.0**-14))
    if step > 0:
        return Quantised((values / step).round().int(), torch.tensor(step))
    return quantised({"values": values})["values"]
