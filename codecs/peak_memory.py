"""The peak of a process's resident memory over a piece of work."""

import sys
from pathlib import Path


class PeakMemory:
    """Measures the largest resident set of this process since the last `restart`.

    Linux can restart its counter; elsewhere, and where that is forbidden, the peak is the one since
    the process began.
    """

    @property
    def restarts(self) -> bool:
        """Whether the system lets us forget a peak; forgets the one so far."""
        try:
            # 5: reset the peak resident set size ("high water mark"); proc(5).
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            return False
        return True

    def restart(self) -> None:
        """Forget the peak so far, where the system lets us."""
        _ = self.restarts

    def read(self) -> int:
        """Bytes."""
        try:
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return 1024 * int(line.split()[1])
        except OSError:
            pass  # not Linux
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
