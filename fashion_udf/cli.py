"""Run a command: print one line about an error, log its causes, and return the exit code."""

from __future__ import annotations

import argparse
import logging
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from fashion_udf import errors
from fashion_udf.errors import FashionError, Stopped

logger = logging.getLogger(__name__)

_PACKAGES = ("fashion_udf", "training", "fashion_training")


class ArgumentParser(argparse.ArgumentParser):
    """Parser of a command's arguments. It adds the arguments that all commands share."""

    def __init__(self, **settings: Any) -> None:
        """Take the settings of `argparse.ArgumentParser`."""
        super().__init__(**settings)
        self.add_argument("--verbose", action=_Verbose, help="log more, with the traceback of an error")

    def add_config(self, file: str, required: bool = True) -> None:
        """Add the arguments of `config.load`: `--config` with a YAML file, which `file` describes, and `--set`."""
        self.add_argument("--config", required=required, metavar="FILE", help=file)
        self.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key; YAML value")


class _Verbose(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, *_: object) -> None:
        for name in _PACKAGES:
            logging.getLogger(name).setLevel(logging.DEBUG)


def run(main: Callable[[], None]) -> None:
    """Run a command and end the process with its exit code. An error prints one line; the log has more."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    # At INFO these libraries log about themselves ("Closing down clientserver connection").
    for library in ("py4j", "petastorm", "botocore", "urllib3", "faiss"):
        logging.getLogger(library).setLevel(logging.WARNING)
    try:
        with _stopped_by_sigterm(), _until_nobody_reads():
            main()
    except FashionError as error:
        # An error without a cause is told completely by its line.
        found = [*errors.causes(error)]
        for cause in found if len(found) > 1 else ():
            logger.error("%s %s", _place(cause), errors.one_line(cause) if cause is not error else type(error).__name__)
        logger.debug("traceback", exc_info=True)
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except Exception as error:
        logger.exception("unexpected failure")
        sys.stderr.write(f"error: {errors.one_line(error)}\n")
        sys.exit(1)


@contextmanager
def _until_nobody_reads() -> Iterator[None]:
    """End without an error when the reader of the output closes it, as `head` does."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        output, poll = sys.stdout.fileno(), select.poll()
        poll.register(output, 0)
        if not any(event & select.POLLERR for _, event in poll.poll(0)):
            raise  # the closed pipe was one of Spark's
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)  # Python flushes standard output once more at exit


def _place(error: BaseException) -> str:
    """Return file, line and function of the last frame of our own code in an error's traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame for frame in frames if any(f"{os.sep}{name}{os.sep}" in frame.filename for name in _PACKAGES)
    ] or frames
    return f"{own[-1].filename}:{own[-1].lineno} ({own[-1].name})" if own else "elsewhere"


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Raise `Stopped` in the body at a SIGTERM, which otherwise ends Python without a message.

    A second SIGTERM is ignored, so that it cannot interrupt the clean-up.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stopped = Stopped("SIGTERM")
        # Before any clean-up: spark-submit passes this line on, and ends within a second of its own SIGTERM.
        # `sys.stderr` cannot be used: the signal may have interrupted a write to it.
        with suppress(OSError):
            os.write(2, f"error: {stopped}\n".encode())
        raise stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is stop:
            signal.signal(signal.SIGTERM, before)
