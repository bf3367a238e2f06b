"""Which rows make a chunk: several small files, or a part of a large one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fashion_udf.photos.parquet_photos import FILE, ROW

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Chunk:
    """A part of the rows to score: those in `files` (None: in no file) with a rank from `first` on, below `end`."""

    number: int
    files: tuple[str | None, ...]
    first: int
    end: int
    rows: int
    most_tasks: int  # among which the rows may be divided without reading too many photos again


def ranked(todo: DataFrame) -> DataFrame:
    """Add `rank`, from 0, to rows as `comparison.one_per_fingerprint` gives them: the order in which a file is scored.

    The order is that of the file where the places of rows are known, else that of a hash of the ids.
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
        sizes: rows to score by file.
        rows: most rows of a chunk. A part may have more due to `most_parts`.
        most_parts: into how many parts a file may be divided, by the file and its rows to score.
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
