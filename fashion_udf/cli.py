"""Run an entry point: one line for a person, the traceback for the log, the exit code for the scheduler."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from fashion_udf.errors import FashionError

logger = logging.getLogger(__name__)


def run(main: Callable[[], None]) -> None:
    """Run an entry point and leave the process with its exit code: one line for a person, the traceback for the log."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    # At INFO these libraries log about themselves ("Closing down clientserver connection").
    for library in ("py4j", "petastorm"):
        logging.getLogger(library).setLevel(logging.WARNING)
    try:
        main()
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
