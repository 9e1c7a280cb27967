"""What the reports of all benchmarks say alike."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class BenchReport:
    """What a benchmark measured, and on what."""

    benchmark: ClassVar[str]
    """Its name, as in `kodec bench`."""

    machine: dict[str, Any]
    settings: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The report as one JSON object."""
        return {"benchmark": self.benchmark, **asdict(self)}
