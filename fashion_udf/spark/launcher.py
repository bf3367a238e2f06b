"""Follow the launcher spark-submit: a SIGTERM that ends it ends this process too.

Kubernetes sends SIGTERM only to the first process of a container, which is spark-submit. spark-submit then stops Spark,
so that this process would fail with unrelated errors.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fashion_udf.errors import Stopped

#: Between two checks: the launcher ends 0.6 to 1.3 s after its SIGTERM, and a check takes 1 ms.
_SECONDS = 0.2


def follow() -> None:
    """Start a thread that sends this process a SIGTERM when its launcher gets one. Without a launcher, do nothing."""
    if "PYSPARK_GATEWAY_PORT" in os.environ:  # the launcher sets it
        threading.Thread(target=_forward, args=(os.getppid(),), name="launcher", daemon=True).start()


@contextmanager
def ended() -> Iterator[None]:
    """Raise `Stopped` if the block fails after the launcher got a SIGTERM."""
    try:
        yield
    except Exception as error:
        if got_sigterm(os.getppid()):
            if callable(signal.getsignal(signal.SIGTERM)):
                signal.raise_signal(signal.SIGTERM)  # the handler of `cli.run` raises `Stopped` too, and tells it
            raise Stopped("SIGTERM") from error
        raise


def got_sigterm(process: int) -> bool:
    """Return whether a process is a JVM that handles a SIGTERM: on Linux it then has a thread of that name."""
    names = []
    with contextlib.suppress(OSError):  # the system has no /proc, or a thread ends meanwhile
        for path in Path(f"/proc/{process}/task").glob("*/comm"):
            names.append(path.read_text(errors="replace").strip())
    return "SIGTERM handler" in names


def _forward(launcher: int) -> None:
    while os.getppid() == launcher:
        if got_sigterm(launcher):
            os.kill(os.getpid(), signal.SIGTERM)
            return
        time.sleep(_SECONDS)
