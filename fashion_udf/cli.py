"""Run an entry point: one line for a person, the traceback for the log, the exit code for the scheduler."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from fashion_udf.errors import FashionError, Stopped

logger = logging.getLogger(__name__)


def run(main: Callable[[], None]) -> None:
    """Run an entry point and leave the process with its exit code: one line for a person, the traceback for the log."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    # At INFO these libraries log about themselves ("Closing down clientserver connection").
    for library in ("py4j", "petastorm"):
        logging.getLogger(library).setLevel(logging.WARNING)
    try:
        with _stopped_by_sigterm():
            main()
    except Stopped as stopped:
        sys.stderr.write(f"error: {stopped}\n")
        raise
    except FashionError as error:
        logger.debug("traceback", exc_info=True)
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except Exception as error:
        logger.exception("unexpected failure")
        # The first line of a Py4JJavaError names a call of py4j; Java's own message says what happened.
        text = str(getattr(error, "java_exception", error)).strip()
        sys.stderr.write(f"error: {type(error).__name__}: {text.splitlines()[0][:500] if text else ''}\n")
        sys.exit(1)


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Raise `Stopped` in the body at a SIGTERM, which otherwise ends Python without a word.

    A second signal is ignored: it must not interrupt what the first one set off.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Stopped("SIGTERM")

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is stop:
            signal.signal(signal.SIGTERM, before)
