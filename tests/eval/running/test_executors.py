"""Several processes: what Ctrl+C may interrupt, and how they end."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from kodec.codecs import load
from kodec.eval import PictureSource, evaluate_sources
from kodec.eval.running import executors

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.mark.parametrize("receiver", ["main", "other"])
def test_interrupts_wait_until_processes_have_begun(receiver: str) -> None:
    """Also those that a thread gets which was there before."""
    stop = threading.Event()
    other = threading.Thread(target=stop.wait)
    other.start()
    # A shell ignores it for what it starts in the background.
    of_the_shell = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = other if receiver == "other" else threading.main_thread()
    assert thread.ident is not None
    reached = False
    try:
        with pytest.raises(KeyboardInterrupt), executors._interrupts_held():
            signal.pthread_kill(thread.ident, signal.SIGINT)
            for _ in range(20):
                time.sleep(0.01)
            reached = True
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, of_the_shell)
        stop.set()
        other.join()
    assert reached
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_processes_with_a_model_end_in_silence(
    tiny_model: Path, save_picture: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    sources = [PictureSource(save_picture("a.png", 24, 32))]
    evaluate_sources(partial(load, tiny_model), sources, [10, 40], ["psnr-rgb"], jobs=2)
    assert capfd.readouterr() == ("", "")


def test_who_only_shares_work_out_loads_no_torch() -> None:
    """Processes can begin at once, and where all is done there is nothing to wait for."""
    script = (
        "import sys, kodec.commands.many, kodec.eval.running.executors, "
        "kodec.eval.running.task_loop; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
