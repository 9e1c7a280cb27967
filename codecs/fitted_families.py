"""Kinds of networks that are fitted to one picture or clip, by the number in their files."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from kodec.native import InvalidInputError, UnsupportedError

if TYPE_CHECKING:
    from .fitted.fitted_model import FittedModel

MAX_FAMILY = 255


@dataclass(frozen=True)
class Family:
    """A kind of fitted network: its number and version in files, its name, and its class.

    home: "package.module:Class", imported when it is first asked for. Numbers from 240 on are for
    experiments. pictures, videos: what it codes.
    """

    number: int
    version: int
    name: str
    home: str
    pictures: bool = True
    videos: bool = False

    def model(self) -> "type[FittedModel]":
        """Its class."""
        module, _, name = self.home.partition(":")
        found: type[FittedModel] = getattr(import_module(module), name)
        return found


_FAMILIES: dict[str, Family] = {}


def register(family: Family) -> Family:
    """Add a family, and give it back; once more does nothing.

    Raises `InvalidInputError` where another one has its name or number.
    """
    if not 0 <= family.number <= MAX_FAMILY or not 0 <= family.version <= MAX_FAMILY:
        raise InvalidInputError(f"a family's number and version are 0 to {MAX_FAMILY}")
    for other in _FAMILIES.values():
        if other != family and (other.name == family.name or other.number == family.number):
            raise InvalidInputError(f"the family {other.name} has that name or number already")
    _FAMILIES[family.name] = family
    return family


def families() -> list[Family]:
    """All of them, by number."""
    return sorted(_FAMILIES.values(), key=lambda family: family.number)


def is_family(name: object) -> bool:
    """Whether a family has this name."""
    return isinstance(name, str) and name in _FAMILIES


def family_named(name: str) -> Family:
    """A family by its name; raises `InvalidInputError` where there is none."""
    if name not in _FAMILIES:
        known = ", ".join(family.name for family in families()) or "none in this build"
        raise InvalidInputError(f"there is no fitted family {name!r}; there are {known}")
    return _FAMILIES[name]


def family_of(number: int, version: int) -> Family:
    """The family of a file; raises `UnsupportedError` for one that this version does not have."""
    for family in _FAMILIES.values():
        if family.number == number:
            if family.version != version:
                raise UnsupportedError(
                    f"the file's network is {family.name} version {version}; this kodec has "
                    f"version {family.version}: use the kodec that wrote it"
                )
            return family
    raise UnsupportedError(
        f"the file's network is of family {number}, which this version of kodec does not know; "
        "update kodec"
    )


COOL_CHIC = register(
    Family(1, 0, "cool-chic", "kodec.codecs.fitted.grid_networks.cool_chic:CoolChic")
)
RECOMBINER = register(
    Family(3, 0, "recombiner", "kodec.codecs.fitted.priors.recombiner_picture:RecombinerPicture")
)
C3 = register(Family(2, 0, "c3", "kodec.codecs.fitted.grid_networks.c3:C3Picture"))
VC_INR = register(Family(4, 0, "vc-inr", "kodec.codecs.fitted.priors.vc_inr_picture:VcInrPicture"))


def _frame_networks(*names: tuple[str, str]) -> None:
    for number, (name, kind) in enumerate(names):
        module = {"nirvana": "nirvana_model", "pfnr": "session_model"}.get(name, "frame_model")
        home = f"kodec.codecs.fitted.frame_networks.{module}:{kind}"
        version = int(name == "pfnr")
        register(Family(16 + number, version, name, home, pictures=False, videos=True))


_frame_networks(
    ("nerv", "NeRV"),
    ("e-nerv", "ENeRV"),
    ("hnerv", "HNeRV"),
    ("nerv++", "NeRVPlusPlus"),
    ("nerv-boost", "BoostedNeRV"),
    ("e-nerv-boost", "BoostedENeRV"),
    ("hnerv-boost", "BoostedHNeRV"),
    ("hinerv", "HiNeRV"),
    ("nirvana", "NIRVANA"),
    ("pfnr", "PFNR"),
)
