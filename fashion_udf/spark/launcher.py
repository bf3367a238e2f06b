"""spark-submit, which starts this process: what ends it ends this process too.

Kubernetes sends SIGTERM to the first process of a container alone, and there that is spark-submit. It shuts Spark down,
so that whatever this process asks of Spark fails in one way or another.
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

_SECONDS = 0.5  # between two looks; Spark's shutdown takes about two seconds


def follow() -> None:
    """Send this process a SIGTERM when its launcher gets one, in a thread; does nothing without a launcher."""
    if "PYSPARK_GATEWAY_PORT" in os.environ:  # as the launcher sets it
        threading.Thread(target=_forward, args=(os.getppid(),), name="launcher", daemon=True).start()


@contextmanager
def ended() -> Iterator[None]:
    """Raise `Stopped` where the body fails because the launcher got a SIGTERM a moment ago."""
    try:
        yield
    except Exception as error:
        if got_sigterm(os.getppid()):
            raise Stopped("SIGTERM") from error
        raise


def got_sigterm(process: int) -> bool:
    """Whether a process is a JVM that ends by SIGTERM: then it has a thread of that name (on Linux)."""
    names = []
    with contextlib.suppress(OSError):  # no /proc on this system; or a thread ends meanwhile
        for path in Path(f"/proc/{process}/task").glob("*/comm"):
            names.append(path.read_text(errors="replace").strip())
    return "SIGTERM handler" in names


def _forward(launcher: int) -> None:
    while os.getppid() == launcher:
        if got_sigterm(launcher):
            os.kill(os.getpid(), signal.SIGTERM)
            return
        time.sleep(_SECONDS)
