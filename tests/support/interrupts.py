"""Programs that tests interrupt."""

import signal


def heed_interrupts() -> None:
    """For `preexec_fn`: background jobs of a shell, such as CI's, inherit an ignored SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
