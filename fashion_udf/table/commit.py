"""A commit of the snapshot log: the record, and its exact JSON.

A log file is untrusted input: size, digest, and every name, number and type are checked. The file must equal what
`Commit.to_json` writes, byte for byte, so that it cannot be read in two ways.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from fashion_udf.errors import SnapshotError

FORMAT = 1

#: Maximum of bytes in a log file: enough for 40,000 data files, and a limit for readers of a damaged log.
MAX_COMMIT_BYTES = 8 * 1024 * 1024

_ID = r"[A-Za-z0-9][A-Za-z0-9-]{0,79}"  # a directory and file name: no dots, separators or glob characters
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?Z"
_VERSION = r"[A-Za-z0-9._:@+-]{1,200}"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.parquet"
_SHA256 = r"[0-9a-f]{64}"
_MAX_COUNT = 2**63 - 1  # the maximum of a Parquet row count and of a file size


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of a snapshot: its plain name, size in bytes, row count and hex sha256."""

    name: str
    size: int
    rows: int
    sha256: str


@dataclass(frozen=True)
class MadeFrom:
    """The inputs of a table of similar products.

    Attributes:
        tags: number of the commit of tags.
        settings: hex sha256 of the settings. Lists with other settings are not updated but computed again.
    """

    tags: int
    settings: str


@dataclass(frozen=True)
class Commit:
    """A numbered entry of the log. The highest number is the current snapshot.

    Attributes:
        number: 1 for the first commit, then one more each time.
        snapshot_id: name of the snapshot's directory under `tags/data`. A rollback names an older snapshot.
        parent: number of the previous commit; None for the first.
        time: ISO 8601 in UTC, for people. The order depends on `number` only.
        run_id: id of the run that made the commit. A run recognises its own commit by this id.
        model_version: version of the bundle that scored the snapshot.
        files: all data files, in the order of their names.
        made_from: the inputs of a table of similar products; None for tags.
    """

    number: int
    snapshot_id: str
    parent: int | None
    time: str
    run_id: str
    model_version: str
    files: tuple[DataFile, ...]
    made_from: MadeFrom | None = None

    @property
    def is_rollback(self) -> bool:
        """Whether the commit names an older snapshot: a run that publishes gives the snapshot its own id."""
        return self.snapshot_id != self.run_id

    @property
    def rows(self) -> int:
        """Number of rows in the snapshot."""
        return sum(file.rows for file in self.files)

    @property
    def size(self) -> int:
        """Bytes in the snapshot's data files."""
        return sum(file.size for file in self.files)

    @property
    def digest(self) -> str:
        """Hex sha256 of the canonical JSON without the digest itself."""
        return hashlib.sha256(_canonical(self._fields())).hexdigest()

    def to_json(self) -> bytes:
        """Return the log file: canonical JSON (sorted keys, no spaces, ASCII) and a newline.

        Raises:
            SnapshotError: `parse` would refuse the record.
        """
        if problem := next(_problems(self), None):
            raise SnapshotError(f"Expected a valid commit. Received: {problem}")
        data = _canonical({**self._fields(), "digest": self.digest}) + b"\n"
        if len(data) > MAX_COMMIT_BYTES:
            raise SnapshotError(
                f"Expected a commit of at most {MAX_COMMIT_BYTES} bytes. Received: {len(data)} bytes for "
                f"{len(self.files)} data files. Write fewer, larger files"
            )
        return data

    def _fields(self) -> dict[str, Any]:
        fields = {"format": FORMAT, **asdict(self)}
        if self.made_from is None:  # a commit of tags has the format of release 0.1
            del fields["made_from"]
        return fields


def parse(data: bytes, source: str) -> Commit:
    """Parse a log file. Errors name it by `source`.

    Raises:
        SnapshotError: `data` is not exactly what `Commit.to_json` writes.
    """
    try:
        commit, problem = _parse(data)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise SnapshotError(
            f"Expected an unaltered commit in {source}. Received: {type(error).__name__}: {str(error)[:200]}"
        ) from error
    if problem:
        raise SnapshotError(f"Expected an unaltered commit in {source}. Received: {problem}")
    return commit


def require_id(name: str, value: object) -> None:
    """Refuse a run or snapshot id that is no safe file name.

    Raises:
        SnapshotError: `value` is not 1 to 80 letters, digits and hyphens.
    """
    if not _matches(_ID, value):
        raise SnapshotError(f"Expected {name} of 1 to 80 letters, digits and hyphens. Received: {str(value)[:100]!r}")


def utc_now() -> str:
    """Return the current time for a commit, in whole seconds."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def file_problems(files: Sequence[DataFile]) -> Iterator[str]:
    """Yield the problems of a list of data files: names must be plain, sorted and unique, and counts possible."""
    before = ""
    for file in files:
        if not _matches(_NAME, file.name) or file.name <= before:
            yield f"data file name {str(file.name)[:100]!r} (expected a plain name after {before!r})"
            return
        before = file.name
        if not (_is_count(file.size) and _is_count(file.rows) and _matches(_SHA256, file.sha256)):
            yield f"size, rows or sha256 of data file {file.name}"


def _parse(data: bytes) -> tuple[Commit, str | None]:
    if len(data) > MAX_COMMIT_BYTES:
        raise ValueError(f"more than {MAX_COMMIT_BYTES} bytes")
    tree = json.loads(data)
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise ValueError(f'no "format": {FORMAT}; a newer release may have written it')
    del tree["format"]
    digest = tree.pop("digest", None)
    made_from = MadeFrom(**tree["made_from"]) if "made_from" in tree else None
    files = tuple(DataFile(**file) for file in tree.get("files", ()))
    commit = Commit(**{**tree, "files": files, "made_from": made_from})
    problem = next(_problems(commit), None)
    if not problem and digest != commit.digest:
        problem = f"digest {str(digest)[:64]!r} (the content's is {commit.digest})"
    if not problem and data != commit.to_json():
        problem = "JSON in another form than this library writes"
    return commit, problem


def _problems(commit: Commit) -> Iterator[str]:
    """Yield the problems of a commit, for writers and readers. A rule may rely on the rules before it."""
    if not (_is_count(commit.number) and 1 <= commit.number <= 99_999_999):
        yield f"number {commit.number!r} (expected 1 to 99999999)"
    before = None if commit.number == 1 else commit.number - 1
    if commit.parent != before or type(commit.parent) is not type(before):
        yield f"parent {commit.parent!r} of commit {commit.number} (expected {before})"
    for name, text, pattern in (
        ("snapshot_id", commit.snapshot_id, _ID),
        ("run_id", commit.run_id, _ID),
        ("model_version", commit.model_version, _VERSION),
        ("time", commit.time, _TIME),
    ):
        if not _matches(pattern, text):
            yield f"{name} {str(text)[:100]!r}"
    datetime.fromisoformat(commit.time)  # raises ValueError for the 31st of February
    if (source := commit.made_from) is not None:
        if not (_is_count(source.tags) and source.tags >= 1 and _matches(_SHA256, source.settings)):
            yield f"made_from {str(source)[:200]}"
    yield from file_problems(commit.files)


def _canonical(tree: dict[str, Any]) -> bytes:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _matches(pattern: str, value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= _MAX_COUNT  # `isinstance` would accept a bool
