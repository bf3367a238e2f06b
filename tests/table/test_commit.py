"""The commit record: its exact bytes, and what a damaged or hostile log file gets."""

from __future__ import annotations

import dataclasses
import json
import random
import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion_udf.errors import SnapshotError
from fashion_udf.table.commit import MAX_COMMIT_BYTES, Commit, DataFile, parse, require_id

COMMIT = Commit(
    number=42,
    snapshot_id="20250131T020000000000Z-0badcafe",
    parent=41,
    time="2025-01-31T02:31:05Z",
    run_id="20250131T020000000000Z-0badcafe",
    model_version="e3b0c44298fc1c149afbf4c8996fb924",
    files=(
        DataFile("20250131T020000000000Z-0badcafe-part-00000.parquet", 1234, 10, "a" * 64),
        DataFile("20250131T020000000000Z-0badcafe-part-00001.parquet", 99, 0, "b" * 64),
    ),
)

PINNED = (
    '{"digest":"15329d1ed9fb45027b930ceb8cf27eec24fbaf1042b51d60533dc5e5382f6fc0",'
    '"files":[{"name":"20250131T020000000000Z-0badcafe-part-00000.parquet","rows":10,'
    '"sha256":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","size":1234},'
    '{"name":"20250131T020000000000Z-0badcafe-part-00001.parquet","rows":0,'
    '"sha256":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","size":99}],'
    '"format":1,"model_version":"e3b0c44298fc1c149afbf4c8996fb924","number":42,"parent":41,'
    '"run_id":"20250131T020000000000Z-0badcafe","snapshot_id":"20250131T020000000000Z-0badcafe",'
    '"time":"2025-01-31T02:31:05Z"}\n'
)


def _sealed(commit: Commit) -> bytes:
    """A log file with a right digest around fields that need not be: what an attacker would write."""
    tree = {"format": 1, **dataclasses.asdict(commit), "digest": commit.digest}
    del tree["made_from"]  # a commit of tags has none
    return json.dumps(tree, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def test_the_bytes_of_a_commit_never_change() -> None:
    assert COMMIT.to_json().decode() == PINNED


def test_rows_and_size_are_summed_over_files() -> None:
    assert (COMMIT.rows, COMMIT.size) == (10, 1333)


_ids = st.text(string.ascii_letters + string.digits, min_size=1, max_size=80)


@st.composite
def _commits(draw: st.DrawFn) -> Commit:
    number = draw(st.integers(1, 99_999_999))
    snapshot_id = draw(_ids)
    counts = st.integers(0, 2**63 - 1)
    hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
    described = draw(st.lists(st.tuples(counts, counts, hashes), max_size=4))
    return Commit(
        number=number,
        snapshot_id=snapshot_id,
        parent=None if number == 1 else number - 1,
        time=draw(st.datetimes().map(lambda t: t.strftime("%4Y-%m-%dT%H:%M:%S.%fZ"))),
        run_id=draw(_ids),
        model_version=draw(st.text(string.ascii_letters + "._:@+-", min_size=1, max_size=200)),
        files=tuple(DataFile(f"part-{i:05d}.parquet", *values) for i, values in enumerate(described)),
    )


@given(_commits())
def test_a_commit_survives_its_json(commit: Commit) -> None:
    assert parse(commit.to_json(), "a log file") == commit


def test_no_single_changed_byte_goes_unnoticed() -> None:
    data, seeded = COMMIT.to_json(), random.Random(0)
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= seeded.randrange(1, 256)
        with pytest.raises(SnapshotError, match=r"Expected an unaltered commit in 00000042\.json\. Received: "):
            parse(bytes(changed), "00000042.json")


def test_no_truncation_goes_unnoticed() -> None:
    data = COMMIT.to_json()
    for length in range(len(data)):
        with pytest.raises(SnapshotError, match="Expected an unaltered commit"):
            parse(data[:length], "00000042.json")


def _file(**changes: Any) -> Callable[[], Commit]:
    changed = dataclasses.replace(COMMIT.files[0], **changes)
    return lambda: dataclasses.replace(COMMIT, files=(changed, COMMIT.files[1]))


def _with(**changes: Any) -> Callable[[], Commit]:
    return lambda: dataclasses.replace(COMMIT, **changes)


HOSTILE: dict[str, tuple[Callable[[], Commit], str]] = {
    "a path as a name": (_file(name="../../../etc/passwd"), r"data file name '\.\./\.\./\.\./etc/passwd' \(expected"),
    "an absolute name": (_file(name="/etc/passwd"), "data file name '/etc/passwd'"),
    "a hidden name": (_file(name=".part-00000.parquet"), r"data file name '\.part-00000\.parquet'"),
    "a name that readers do not look for": (_file(name="part-00000.orc"), r"data file name 'part-00000\.orc'"),
    "names out of order": (_with(files=COMMIT.files[::-1]), "expected a plain name after .*-part-00001"),
    "a name that is no string": (_file(name=["a"]), "data file name"),
    "a file twice": (
        _with(files=(COMMIT.files[0], COMMIT.files[0])),
        "expected a plain name after .*-part-00000",
    ),
    "a negative size": (_file(size=-1), "size, rows or sha256 of data file .*-part-00000"),
    "a true count": (_file(rows=True), "size, rows or sha256"),
    "a fractional count": (_file(rows=1.0), "size, rows or sha256"),
    "a count past 63 bits": (_file(rows=2**63), "size, rows or sha256"),
    "a short hash": (_file(sha256="abc"), "size, rows or sha256"),
    "a hash with a newline": (_file(sha256="a" * 64 + "\n"), "size, rows or sha256"),
    "a snapshot id that climbs": (_with(snapshot_id=".."), r"snapshot_id '\.\.'"),
    "a snapshot id with a separator": (_with(snapshot_id="a/b"), "snapshot_id 'a/b'"),
    "a snapshot id with a glob": (_with(snapshot_id="*"), r"snapshot_id '\*'"),
    "an empty run id": (_with(run_id=""), "run_id ''"),
    "a number as run id": (_with(run_id=7), "run_id '7'"),
    "number zero": (_with(number=0), "number 0"),
    "a true number": (_with(number=True), "number True"),
    "a parent that is not the one before": (_with(parent=7), r"parent 7 of commit 42 \(expected 41\)"),
    "a parent of another type": (_with(parent=41.0), "parent 41.0"),
    "no parent": (_with(parent=None), "parent None of commit 42"),
    "a parent of the first": (_with(number=1, parent=0), r"parent 0 of commit 1 \(expected None\)"),
    "a local time": (_with(time="2025-01-31 02:31"), "time '2025-01-31 02:31'"),
    "a day that never was": (_with(time="2025-02-31T02:31:05Z"), "ValueError: day is out of range"),
    "a model version with a space": (_with(model_version="a b"), "model_version 'a b'"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_commit_is_refused_even_with_a_right_digest(case: str) -> None:
    make, received = HOSTILE[case]
    with pytest.raises(SnapshotError, match=f"unaltered commit in the log. Received: .*{received}"):
        parse(_sealed(make()), "the log")


@pytest.mark.parametrize(
    ("data", "received"),
    [
        (b"", "JSONDecodeError"),
        (b"null", 'no "format": 1'),
        (b"[]", 'no "format": 1'),
        (b'{"format":2}', 'no "format": 1; a newer release may have written it'),
        (b'{"format":1}', "missing 6 required positional arguments"),
        (b'{"format":1,"files":{"a":1}}', "TypeError"),
        (b'{"format":1,"files":7}', "TypeError"),
        (b'{"format":1,"surprise":1}', "TypeError"),
        (b"[" * 100_000, "RecursionError"),
        (b'{"format":' + b"9" * 5000 + b"}", "ValueError"),
        (b"\xff\xfe\x00", "UnicodeDecodeError|JSONDecodeError"),
        (b" " * (MAX_COMMIT_BYTES + 1), "more than 8388608 bytes"),
        (COMMIT.to_json() + b"\n", "JSON in another form than this library writes"),
        (json.dumps(json.loads(COMMIT.to_json()), indent=1).encode(), "JSON in another form than this library writes"),
        (
            COMMIT.to_json().replace(b'"number":42', b'"number":42,"number":42'),
            "JSON in another form than this library writes",
        ),
        (COMMIT.to_json().replace(b'"rows":10', b'"rows":11'), "digest '15329d1e"),
    ],
)
def test_what_is_not_a_commit_is_refused(data: bytes, received: str) -> None:
    with pytest.raises(SnapshotError, match=f"unaltered commit in the log. Received: .*({received})"):
        parse(data, "the log")


@given(
    st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_anything_else_is_one_kind_of_error(data: bytes) -> None:
    with pytest.raises(SnapshotError, match="unaltered commit in the log"):
        parse(data, "the log")


def test_a_writer_is_held_to_the_same_rules() -> None:
    with pytest.raises(SnapshotError, match="Expected a valid commit. Received: run_id 'a b'"):
        dataclasses.replace(COMMIT, run_id="a b").to_json()


def test_a_commit_too_large_to_read_is_not_written() -> None:
    files = tuple(DataFile(f"part-{i:05d}.parquet", 1, 1, "a" * 64) for i in range(80_000))
    with pytest.raises(SnapshotError, match="for 80000 data files. Write fewer, larger files"):
        dataclasses.replace(COMMIT, snapshot_id="s", files=files).to_json()


@pytest.mark.parametrize("value", ["", "..", "a/b", "a.b", "-a", "a" * 81, "a\n", None])
def test_an_id_that_is_no_safe_file_name_is_refused(value: object) -> None:
    with pytest.raises(SnapshotError, match="Expected run_id of 1 to 80 letters, digits and hyphens. Received: "):
        require_id("run_id", value)
