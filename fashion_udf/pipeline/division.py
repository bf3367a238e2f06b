"""Divide the rows to score into chunks: several small files, or a part of a large one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fashion_udf.photos.parquet_photos import FILE, ROW

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Chunk:
    """A part of the rows to score: those of `files` (None: of no file) with `first` <= rank < `end`."""

    number: int
    files: tuple[str | None, ...]
    first: int
    end: int
    rows: int
    most_tasks: int  # maximum of tasks for these rows, so that few photos are read more than once


def ranked(todo: DataFrame) -> DataFrame:
    """Add `rank`, from 0, to the rows of `comparison.one_per_fingerprint`: the order in which a file is scored.

    It is the order of the file if the positions of the rows are known, otherwise that of a hash of the ids.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    order = Window.partitionBy(FILE).orderBy(ROW, F.xxhash64("product_id"), "product_id")
    return todo.withColumn("rank", F.row_number().over(order) - F.lit(1))


def divided(
    sizes: dict[str | None, int], rows: int, most_parts: Callable[[str | None, int], int], first: int
) -> Iterator[Chunk]:
    """Yield chunks of about `rows` rows: several small files each, or parts of a large one.

    Args:
        sizes: number of rows to score, by file.
        rows: maximum of rows in a chunk. A part may have more because of `most_parts`.
        most_parts: maximum number of parts of a file, by the file and its rows to score.
        first: number of the first chunk.
    """
    number, files, held = first, list[str | None](), 0
    for file, size in sorted(sizes.items(), key=lambda item: item[0] or ""):
        if files and held + size > rows:
            yield Chunk(number, tuple(files), 0, held, held, held)
            number, files, held = number + 1, [], 0
        if size > rows:
            most = max(1, most_parts(file, size))
            parts = min(-(-size // rows), most)
            for part in range(parts):
                begin, end = size * part // parts, size * (part + 1) // parts
                yield Chunk(number, (file,), begin, end, end - begin, most // parts)
                number += 1
        else:
            files.append(file)
            held += size
    if files:
        yield Chunk(number, tuple(files), 0, held, held, held)
