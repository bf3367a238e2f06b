"""Chunks: every row in exactly one, none much larger than asked for, whatever files the catalog has."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fashion_udf.pipeline.division import Chunk, divided

SIZES = st.dictionaries(st.none() | st.text(min_size=1), st.integers(1, 5000), max_size=30)


@given(SIZES, st.integers(1, 1000), st.integers(0, 100), st.integers(1, 10**6))
def test_every_row_is_in_exactly_one_chunk_of_about_the_size_asked_for(
    sizes: dict[str | None, int], rows: int, first: int, most_parts: int
) -> None:
    found = list(divided(sizes, rows, lambda *_: most_parts, first))
    assert [chunk.number for chunk in found] == list(range(first, first + len(found)))
    ranks: dict[str | None, list[int]] = {file: [] for file in sizes}
    for chunk in found:
        assert chunk.files and 0 < chunk.rows and chunk.most_tasks > 0
        assert chunk.rows <= max(rows, -(-sum(sizes[file] for file in chunk.files) // most_parts))
        assert sum(min(sizes[file], chunk.end) - chunk.first for file in chunk.files) == chunk.rows
        for file in chunk.files:
            ranks[file] += range(chunk.first, min(sizes[file], chunk.end))
    assert {file: sorted(held) for file, held in ranks.items()} == {
        file: [*range(size)] for file, size in sizes.items()
    }


@given(SIZES, st.integers(1, 1000))
def test_two_neighbouring_chunks_of_whole_files_would_not_fit_in_one(sizes: dict[str | None, int], rows: int) -> None:
    found = list(divided(sizes, rows, lambda _, size: size, 0))
    for one, next_one in zip(found, found[1:], strict=False):
        if all(sizes[chunk.files[0]] <= rows for chunk in (one, next_one)):
            assert one.rows + sizes[next_one.files[0]] > rows


def test_small_files_share_a_chunk_and_a_large_one_is_split() -> None:
    sizes: dict[str | None, int] = {"c": 11, "a": 6, "b": 6, None: 1, "d": 7}
    assert list(divided(sizes, 7, lambda file, size: {"c": 5}[file or ""], 3)) == [
        Chunk(3, (None, "a"), 0, 7, 7, 7),
        Chunk(4, ("b",), 0, 6, 6, 6),
        Chunk(5, ("c",), 0, 5, 5, 2),
        Chunk(6, ("c",), 5, 11, 6, 2),
        Chunk(7, ("d",), 0, 7, 7, 7),
    ]
    assert list(divided({}, 7, lambda *_: 1, 3)) == []
    assert list(divided({"c": 11}, 7, lambda *_: 0, 0)) == [Chunk(0, ("c",), 0, 11, 11, 1)], "one row group, all large"
