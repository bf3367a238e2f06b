"""Compare two snapshots of the tags table, column by column with pyarrow, without Spark.

A column that an older snapshot lacks counts as null. Rows are matched by `product_id`. Embeddings are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fashion_udf import console
from fashion_udf.errors import SnapshotError
from fashion_udf.schema import TAGS
from fashion_udf.table import data_files
from fashion_udf.table.commit import Commit

#: Maximum of pairs of values in the text. The record holds all of them.
SHOWN_PAIRS = 20

Change = tuple[str | None, str | None, int]


@dataclass(frozen=True)
class Confidence:
    """Rows with a confidence in both snapshots: their number, the means, and how many rose and fell."""

    rows: int
    mean_before: float | None
    mean_after: float | None
    rose: int
    fell: int


@dataclass(frozen=True)
class Diff:
    """The changes from one commit's snapshot to another's.

    Attributes:
        before, after: numbers of the commits.
        rows_before, rows_after: number of rows in each.
        added, gone: number of rows only in the later snapshot, and only in the earlier one.
        categories, statuses: (from, to, rows) for rows in both whose value changed, the largest number first.
        confidence: for rows in both.
        scored: rows in both that were scored again, by the reason in the later snapshot.
        models: (model version, rows before, rows after), the largest number after first.
        examples: "added", "gone" -> (product id,); "category" -> (product id, from, to); in the order of the files.
    """

    before: int
    after: int
    rows_before: int
    rows_after: int
    added: int
    gone: int
    categories: list[Change]
    statuses: list[Change]
    confidence: Confidence
    scored: list[tuple[str | None, int]]
    models: list[tuple[str | None, int, int]]
    examples: dict[str, list[tuple[str | None, ...]]]


def diff(output: str, before: Commit, after: Commit, examples: int = 10) -> Diff:
    """Compare the snapshots of two commits, and name at most `examples` rows of each kind.

    Product ids are unique within a snapshot, because the gate `ledger` was checked before it was published.

    Raises:
        SnapshotError: a data file is missing, or is no table of tags.
    """
    old, new = _Columns(output, before), _Columns(output, after)
    ids_old, ids_new = old.read("product_id"), new.read("product_id")
    # place: int32[rows_after], index of the row in `old`, or -1
    place = pc.index_in(ids_new, value_set=ids_old).fill_null(-1).to_numpy()
    added, gone = place < 0, np.ones(len(ids_old), bool)
    at_old, at_new = pa.array(place[~added]), pa.array(np.flatnonzero(~added))
    gone[place[~added]] = False

    def both(name: str) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
        return old.read(name).take(at_old), new.read(name).take(at_new)

    categories = both("category")
    moved = _differs(*categories)
    again = _differs(*both("run_id"))
    return Diff(
        before=before.number,
        after=after.number,
        rows_before=len(ids_old),
        rows_after=len(ids_new),
        added=int(added.sum()),
        gone=int(gone.sum()),
        categories=_changes(*categories),
        statuses=_changes(*both("status")),
        confidence=_confidence(*both("confidence")),
        scored=_counts(new.read("reason").take(at_new).filter(again)),
        models=_models(old.read("model_version"), new.read("model_version")),
        examples={
            "added": _first(examples, pa.array(added), ids_new),
            "gone": _first(examples, pa.array(gone), ids_old),
            "category": _first(examples, moved, ids_new.take(at_new), *categories),
        },
    )


def text(changes: Diff) -> str:
    """Return the record as tables of text. A part without changes has no table."""
    confidence = changes.confidence
    stayed = changes.rows_after - changes.added
    facts = [
        ("rows", changes.rows_before, changes.rows_after),
        ("mean confidence", confidence.mean_before, confidence.mean_after),
    ]
    totals = [
        ("category changed", sum(rows for *_, rows in changes.categories)),
        ("status changed", sum(rows for *_, rows in changes.statuses)),
        ("confidence rose", confidence.rose),
        ("confidence fell", confidence.fell),
        ("scored again", sum(rows for _, rows in changes.scored)),
    ]
    parts = [
        console.table(("commit", str(changes.before), str(changes.after)), facts),
        console.table(("rows in one only", "rows"), [("added", changes.added), ("gone", changes.gone)]),
        console.table(("rows in both", "rows", "share"), [(*item, _share(item[1], stayed)) for item in totals]),
        *_pairs("category", changes.categories),
        *_pairs("status", changes.statuses),
    ]
    if changes.scored:
        parts.append(console.table(("scored again because", "rows"), changes.scored))
    parts.append(console.table(("model", "rows before", "rows after"), changes.models))
    for kind in ("added", "gone"):
        if ids := changes.examples[kind]:
            parts.append(console.table((f"{kind}, such as",), ids))
    if rows := changes.examples["category"]:
        parts.append(console.table(("category changed, such as", "from", "to"), rows))
    return "\n".join(parts)


class _Columns:
    """The columns of a commit's data files, each read when it is used. Rows are in the order of the files."""

    def __init__(self, output: str, commit: Commit) -> None:
        self._output, self._commit = output, commit

    def read(self, name: str) -> pa.ChunkedArray:
        kind = TAGS.field(name).type
        files = data_files.opened(self._output, self._commit)
        chunks = [chunk for path, file in files for chunk in _chunks(file, path, name, kind)]
        return pa.chunked_array(chunks or [pa.array([], kind)])  # pyarrow 14 crashes on a column without a chunk


def _chunks(file: BinaryIO, path: str, name: str, kind: pa.DataType) -> list[pa.Array]:
    try:
        with file, pq.ParquetFile(file) as source:
            if name not in source.schema_arrow.names:
                return [pa.nulls(source.metadata.num_rows, kind)]
            chunks: list[pa.Array] = source.read(columns=[name]).column(name).cast(kind).chunks
            return chunks
    except (OSError, pa.ArrowException) as error:
        raise SnapshotError(f"Expected a Parquet file of tags. Received: {path} ({error})") from error


def _differs(old: pa.ChunkedArray, new: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return whether the values differ, as bool[n]. Null equals only null."""
    return pc.coalesce(pc.not_equal(old, new), pc.xor(old.is_null(), new.is_null()))


def _changes(old: pa.ChunkedArray, new: pa.ChunkedArray) -> list[Change]:
    moved = _differs(old, new)
    pairs = pa.table({"from": old.filter(moved), "to": new.filter(moved)}).group_by(["from", "to"])
    counted = pairs.aggregate([([], "count_all")]).select(["from", "to", "count_all"])
    return sorted(zip(*(column.to_pylist() for column in counted.columns), strict=True), key=_most_first)


def _counts(values: pa.ChunkedArray) -> list[tuple[str | None, int]]:
    counted = [(item["values"], item["counts"]) for item in values.value_counts().to_pylist()]
    return sorted(counted, key=_most_first)


def _models(old: pa.ChunkedArray, new: pa.ChunkedArray) -> list[tuple[str | None, int, int]]:
    before, after = dict(_counts(old)), dict(_counts(new))
    return [(version, before.get(version, 0), after.get(version, 0)) for version in {**after, **before}]


def _first(count: int, mask: pa.ChunkedArray, *columns: pa.ChunkedArray) -> list[tuple[str | None, ...]]:
    return list(zip(*(column.filter(mask)[:count].to_pylist() for column in columns), strict=True))


def _confidence(old: pa.ChunkedArray, new: pa.ChunkedArray) -> Confidence:
    scored = pc.and_kleene(pc.is_finite(old), pc.is_finite(new)).fill_null(False)
    old, new = old.filter(scored), new.filter(scored)
    rose, fell = (pc.sum(compared).as_py() or 0 for compared in (pc.greater(new, old), pc.less(new, old)))
    return Confidence(len(old), pc.mean(old).as_py(), pc.mean(new).as_py(), rose, fell)


def _most_first(item: tuple[object, ...]) -> tuple[object, ...]:
    *values, rows = item
    assert isinstance(rows, int)
    return -rows, *map(str, values)


def _share(rows: int, total: int) -> str:
    return f"{100 * rows / max(total, 1):.1f} %"


def _pairs(name: str, changes: list[Change]) -> Iterator[str]:
    if changes:
        total = sum(rows for *_, rows in changes)
        shown = [(*change, _share(change[2], total)) for change in changes[:SHOWN_PAIRS]]
        more = len(changes) - len(shown)
        yield console.table((f"{name} from", "to", "rows", "share"), shown) + (
            f"and {more} other pairs\n" if more else ""
        )
