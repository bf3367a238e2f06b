"""The Parquet files of a snapshot or of a chunk: list them, describe them, and compare them with a commit.

Spark writes directly into the directory. Its other files there (`_temporary`, `.crc`) are no data files. Only data
files that a commit or a manifest names belong to the table.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from fashion_udf import files
from fashion_udf.errors import SnapshotError
from fashion_udf.table.commit import Commit, DataFile
from fashion_udf.table.paths import TAGS, Location, snapshot_dir
from fashion_udf.table.store import StoredFile
from fashion_udf.table.stores import open_store

_BLOCK = 1 << 20  # bytes read at a time
#: Errors of opening a link or a directory, or a path below a file.
_NOT_PLAIN = (errno.ELOOP, errno.EINVAL, errno.ENOENT, errno.ENOTDIR, errno.EISDIR)


def listed(place: Location) -> dict[str, StoredFile]:
    """Return the data files of a directory by name, as the store lists them."""
    found = inside(place)
    return {
        name: file for name, file in found.items() if name.endswith(".parquet") and name[0] != "." and "/" not in name
    }


def describe(name: str, file: BinaryIO) -> DataFile:
    """Read a data file completely, and return its facts.

    Raises:
        SnapshotError: the file is no Parquet file.
        OSError: the file cannot be read.
    """
    size, sha256 = _digest(file)
    return DataFile(name, size, _rows(name, file), sha256)


def described(place: Location) -> tuple[DataFile, ...]:
    """Describe every data file of a directory in this process, one after the other."""
    found = []
    for name in listed(place):
        with place.store.open(f"{place.key}/{name}") as file:
            found.append(describe(name, file))
    return tuple(found)


def require_listed(output: str, commit: Commit, table: str = TAGS) -> None:
    """Compare the names and sizes of a snapshot's files with its commit, without opening a file.

    Raises:
        SnapshotError: files are missing, unexpected, or of another size. The message names each.
    """
    place = snapshot_dir(output, commit.snapshot_id, table)
    try:
        found = inside(place)
    except OSError as error:
        raise _differs(place, commit, [str(error)]) from error
    problems = [f"{name}: not in the commit" for name in sorted(found.keys() - {file.name for file in commit.files})]
    for expected in commit.files:
        if (file := found.get(expected.name)) is None:
            problems.append(f"{expected.name}: missing, or not a plain file")
        elif file.size != expected.size:
            problems.append(f"{expected.name}: {file.size} bytes, not {expected.size}")
    if problems:
        raise _differs(place, commit, problems)


def verify(output: str, commit: Commit, table: str = TAGS) -> None:
    """Read a snapshot's data files and compare them with its commit.

    Raises:
        SnapshotError: files are missing, unexpected, not plain files, or differ in size, sha256 or row count. The
            message names each.
    """
    place = snapshot_dir(output, commit.snapshot_id, table)
    try:
        found = set(inside(place))
    except OSError as error:
        if error.errno not in _NOT_PLAIN:
            raise _differs(place, commit, [str(error)]) from error
        found = set()
    problems = [f"{name}: not in the commit" for name in sorted(found - {file.name for file in commit.files})]
    for expected in commit.files:
        problems.extend(_differences(place, expected, expected.name in found))
    if problems:
        raise _differs(place, commit, problems)


def opened(output: str, commit: Commit, table: str = TAGS) -> Iterator[tuple[str, BinaryIO]]:
    """Open a snapshot's data files one after the other, and yield each with its place. The caller closes the files.

    Raises:
        SnapshotError: a file cannot be opened.
    """
    place, store = snapshot_dir(output, commit.snapshot_id, table), open_store(output)
    for file in commit.files:
        try:
            yield str(place / file.name), store.open(f"{place.key}/{file.name}")
        except OSError as error:
            at = place / file.name
            raise SnapshotError(f"Expected a Parquet file of {table}. Received: {at} ({error})") from error


def inside(place: Location) -> dict[str, StoredFile]:
    """Return the files below a directory by relative name, without the temporary files of Spark and of our writers."""
    prefix = f"{place.key}/"
    named = {file.key.removeprefix(prefix): file for file in place.store.list_files(place.key)}
    return {name: file for name, file in named.items() if name and not name.endswith("/") and not _is_passing(name)}


def _is_passing(name: str) -> bool:
    return name[0] == "_" or files.is_temporary(name)


def _differences(place: Location, expected: DataFile, is_there: bool) -> Iterator[str]:
    try:
        if not is_there:
            raise FileNotFoundError(errno.ENOENT, "no such file")
        with place.store.open(f"{place.key}/{expected.name}") as file:
            size = file.seek(0, 2)
            file.seek(0)
            if size != expected.size:
                yield f"{expected.name}: {size} bytes, not {expected.size}"
                return
            if (sha256 := _digest(file)[1]) != expected.sha256:
                yield f"{expected.name}: sha256 {sha256}, not {expected.sha256}"
            elif (rows := _rows(expected.name, file)) != expected.rows:
                yield f"{expected.name}: {rows} rows, not {expected.rows}"
    except OSError as error:
        plain = error.errno not in _NOT_PLAIN
        yield f"{expected.name}: {error if plain else 'missing, or not a plain file'}"
    except SnapshotError as error:
        yield f"{expected.name}: {error}"


def _digest(file: BinaryIO) -> tuple[int, str]:
    """Return the size of a file in bytes, and its hex sha256."""
    digest, size = hashlib.sha256(), 0
    while block := file.read(_BLOCK):
        digest.update(block)
        size += len(block)
    return size, digest.hexdigest()


def _rows(name: str, file: BinaryIO) -> int:
    file.seek(0)
    try:
        return int(pq.read_metadata(file).num_rows)
    except pa.ArrowException as error:
        raise SnapshotError(f"Expected a Parquet file. Received: {name} ({error})") from error


def _differs(place: Location, commit: Commit, problems: Iterable[str]) -> SnapshotError:
    return SnapshotError(f"Expected {place} as commit {commit.number} describes it. Received: {'; '.join(problems)}")
