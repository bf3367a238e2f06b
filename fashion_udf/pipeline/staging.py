"""The staging directory of a run. It exists until the run publishes; the next run uses the results of a killed one.

    staging/<run_id>/alive               touched while the run is alive, so that `expire` does not remove its files
    staging/<run_id>/plan-0/             every accepted row and its action, without photos
    staging/<run_id>/chunk-00007-0/      the results of a chunk, as Spark writes them
    staging/<run_id>/results/00007.json  the manifest of a chunk, create-only: directory, names, sizes, rows, sha256
    staging/<run_id>/candidate.json      a refused table, and the gates that refused it

A chunk is complete when its manifest exists. Its files are forced to the disk before that, like those of the table.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from fashion_udf.errors import SnapshotError
from fashion_udf.repeated import repeated
from fashion_udf.table import paths
from fashion_udf.table.commit import MAX_COMMIT_BYTES, DataFile, file_problems
from fashion_udf.table.paths import Location
from fashion_udf.table.store import StoredFile
from fashion_udf.table.stores import open_store

logger = logging.getLogger(__name__)

_RESULTS = "results"
_FORMAT = 1
_BEAT_SECONDS = 20.0
_MANIFEST = re.compile(rf"{paths.STAGING}/(?P<run>[^./][^/]*)/{_RESULTS}/[0-9]+\.json")


@dataclass(frozen=True)
class Result:
    """A Parquet file of a complete chunk: its place, and its size in bytes."""

    place: Location
    size: int


@contextlib.contextmanager
def alive(directory: Location) -> Iterator[None]:
    """Touch `alive` in a run's staging directory while the block runs."""
    _touch(directory)

    def beat() -> None:
        with contextlib.suppress(OSError):  # a full disk ends the run elsewhere, with a message
            _touch(directory)

    with repeated(beat, _BEAT_SECONDS, "alive"):
        yield


def remove(directory: Location) -> None:
    """Remove the staging directory of a run. `expire` removes the rest if this fails."""
    with contextlib.suppress(OSError):
        directory.store.delete_tree(directory.key, math.inf)


def commit_chunk(directory: Location, written: str, number: int, files: tuple[DataFile, ...]) -> None:
    """Commit a chunk that Spark has written.

    Args:
        directory: the staging directory of the run.
        written: name of the chunk's directory in it.
        number: number of the chunk. A run commits each number once.
        files: all data files of the chunk.

    Raises:
        FileExistsError: the number was committed before.
        OSError: the store failed, and the chunk is not committed.
    """
    store = directory.store
    store.sync(f"{directory.key}/{written}", [file.name for file in files])
    tree = {"format": _FORMAT, "directory": written, "files": [dataclasses.asdict(file) for file in files]}
    key = f"{directory.key}/{_RESULTS}/{number:05d}.json"
    data = json.dumps(tree, sort_keys=True).encode()
    if not store.create(key, data) and store.read(key, MAX_COMMIT_BYTES) != data:
        raise FileExistsError(f"Expected to commit chunk {number} once. Received: {directory / key}, which exists")


def runs_with_results(output: str) -> set[str]:
    """Return the ids of the runs with a committed chunk in staging."""
    keys = (file.key for file in open_store(output).list_files(paths.STAGING))
    return {match["run"] for key in keys if (match := _MANIFEST.fullmatch(key))}


def result_files(output: str, hold: bool = True) -> list[Result]:
    """Return the Parquet files of all committed chunks in the staging directories under `output`.

    A chunk with a missing or truncated file is ignored with a warning: its rows are scored again.

    Args:
        output: root of the output.
        hold: touch `alive` in these staging directories, so that `expire` keeps the files while they are read.
    """
    store = open_store(output)
    listed = {file.key: file for file in store.list_files(paths.STAGING)}
    results, runs = list[Result](), set[str]()
    for key in listed:
        if not (match := _MANIFEST.fullmatch(key)):
            continue
        try:
            found = _results(output, key, store.read(key, MAX_COMMIT_BYTES), listed)
        except FileNotFoundError:
            continue  # the run has just ended
        except (SnapshotError, OSError) as error:
            logger.warning("%s is damaged and ignored: %s", Location(output, key), error)
            continue
        results += found
        runs.add(match["run"])
    for run in sorted(runs) if hold else ():
        with contextlib.suppress(OSError):  # the run has just ended, or this process may only read
            _touch(Location(output, f"{paths.STAGING}/{run}"))
    return results


def _touch(directory: Location) -> None:
    directory.store.replace(f"{directory.key}/alive", b"")


def _results(output: str, key: str, manifest: bytes, listed: dict[str, StoredFile]) -> list[Result]:
    """Return the files that a manifest names, after a check of their sizes."""
    try:
        tree = json.loads(manifest)
        files = [DataFile(**file) for file in tree["files"]]
        named = re.fullmatch("[a-z0-9-]+", tree["directory"]) and tree["format"] == _FORMAT
    except (ValueError, TypeError, KeyError) as error:
        raise SnapshotError(f"{type(error).__name__}: {error}") from error
    if problem := next(file_problems(files), None if named else "another format"):
        raise SnapshotError(problem)
    place = Location(output, f"{key.split(f'/{_RESULTS}/')[0]}/{tree['directory']}")
    for file in files:
        found = listed.get(f"{place.key}/{file.name}")
        if found is None or found.size != file.size:
            received = "no such file" if found is None else f"{found.size} bytes"
            raise SnapshotError(f"Expected {place / file.name} of {file.size} bytes. Received: {received}")
    return [Result(place / file.name, file.size) for file in files]
