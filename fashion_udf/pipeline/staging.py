"""What a run keeps on disk until it publishes; the next run uses the results of an interrupted one.

    staging/<run_id>/alive           touched while the run lives, so that nobody takes it for dead
    staging/<run_id>/plan-0/         every accepted row and what to do with it, without photos
    staging/<run_id>/results/00007/  one chunk of results; the directory appears whole or not at all
    staging/<run_id>/tags-0/         the assembled table
    staging/<run_id>/candidate.json  a refused table, and the gates that refused it

Files are forced to the disk before the rename that makes them count, as the files of the table are.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fashion_udf import files
from fashion_udf.table.store import local_path

logger = logging.getLogger(__name__)

_RESULTS = "results"
_BEAT_SECONDS = 20.0


@contextlib.contextmanager
def alive(directory: Path) -> Iterator[None]:
    """Touch `alive` in a run's staging directory for as long as the run goes on."""
    files.make_directory(directory)
    finished = threading.Event()

    def beat() -> None:
        while True:
            with contextlib.suppress(OSError):  # a full disk ends the run elsewhere, with a reason
                (directory / "alive").touch()
            if finished.wait(_BEAT_SECONDS):
                return

    thread = threading.Thread(target=beat, name="alive", daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


def commit_chunk(directory: Path, written: Path, number: int) -> None:
    """Make a chunk that Spark has written one of the run's results.

    Args:
        directory: the staging directory of the run.
        written: what Spark wrote, on the same file system; its `.parquet` files are kept.
        number: of the chunk; a run commits each number once.

    Raises:
        OSError: the disk failed; the chunk does not count.
    """
    for path in written.iterdir():
        if path.suffix == ".parquet" and not path.name.startswith((".", "_")):
            files.sync(path)
    files.sync(written)
    results = directory / _RESULTS
    files.make_directory(results)
    os.rename(written, results / f"{number:05d}")
    files.sync(results)


def result_files(output: str, hold: bool = True) -> list[str]:
    """Return the Parquet files of every chunk that any run under `output` has committed and not yet removed.

    A file that a power cut or a foreign hand damaged is left out with a warning: its rows are scored again.

    Args:
        output: root of the output.
        hold: touch `alive` in these staging directories, so that nobody removes the files while they are read.
    """
    names = []
    for directory in sorted((local_path(output) / "staging").glob("[!.]*")):
        paths = sorted(directory.glob(f"{_RESULTS}/[0-9]*/[!._]*.parquet"))
        if paths and hold:
            with contextlib.suppress(OSError):  # its run has just ended, or we may only read
                (directory / "alive").touch()
        names += [str(path) for path in paths if _is_whole(path)]
    return names


def _is_whole(path: Path) -> bool:
    try:
        pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        logger.warning("%s is damaged and ignored: %s", path, error)
        return False
    return True
