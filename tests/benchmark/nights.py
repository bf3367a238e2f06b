"""Nights after the first: what a few changed rows cost, and none at all.

One output directory sees three nights: a full one, one with 1 % of the rows changed (half of them another title, half
another photo), and one on the same catalog. Titles are unique, photos are given by URI with `image_version`. Spark's
start-up is left out: a night lasts from Spark's session to the end of the process.
"""

from __future__ import annotations

import datetime
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.benchmark import catalogs, measured_rows
from tests.benchmark.catalogs import Catalogs
from tests.benchmark.measured_rows import Options, Row

FULL, CHANGED, UNCHANGED = "full night", "night with 1 % changed", "night with nothing changed"
CHANGED_SHARE = 0.01
PROBE_ROWS = 20
SCHEMA = catalogs.URI.append(pa.field("image_version", pa.string()))
_ROW = Row("night", "tag_catalog", measured_rows.FASTEST, "night")


@dataclass(frozen=True)
class Night:
    """What a night took."""

    name: str
    rows: int
    scored: int
    seconds: float  # without Spark's start-up
    process_seconds: float
    driver_bytes: int  # the most memory that the driver, Java and Python, ever had


def measure(mode: str, products: Catalogs, options: Options) -> list[Night]:
    """Run the three nights; an empty list if the job scores unchanged rows again, so that further nights say nothing.

    Args:
        mode: an engine and a precision.
        products: whose photos and texts the rows are made of.
        options: `night_rows` says how many rows.
    """
    folder = options.work / "nights"
    shutil.rmtree(folder, ignore_errors=True)
    probe = [_night(name, mode, products, options, PROBE_ROWS, folder / "probe") for name in (FULL, UNCHANGED)]
    if probe[-1].scored == PROBE_ROWS:
        return []
    nights = (FULL, CHANGED, UNCHANGED)
    return [_night(name, mode, products, options, options.night_rows, folder / "measured") for name in nights]


def rows(products: Catalogs, count: int, changed: float) -> Iterator[dict[str, object]]:
    """Yield the rows of a night; spread over them, the share `changed` has another title or another photo."""
    step = round(2 / changed) if changed else 0  # a title and a photo in every so many rows
    for index in range(count):
        item = products.items[index % len(products.items)]
        title = bool(step) and index % step == 0
        photo = bool(step) and index % step == step // 2
        yield {
            "product_id": f"n{index:07d}",
            "title": f"{item.title} {index}{' new' if title else ''}",
            "description": item.description,
            "image_uri": str(products.photo((index + photo) % len(products.items)).absolute()),
            "image_version": "2" if photo else "1",
        }


def scored_since(output: Path, start: float) -> int:
    """Return how many rows of the table were scored at or after a time, in seconds since the epoch."""
    tagged_at = pq.read_table(output / "tags" / "current", columns=["tagged_at"])["tagged_at"]
    moment = datetime.datetime.fromtimestamp(start, datetime.UTC)
    return int(pc.sum(pc.greater_equal(tagged_at, pa.scalar(moment, tagged_at.type))).as_py() or 0)


def _night(name: str, mode: str, products: Catalogs, options: Options, count: int, folder: Path) -> Night:
    catalog = folder / "catalog"
    if name != UNCHANGED or not catalog.exists():
        shutil.rmtree(catalog, ignore_errors=True)
        changed = CHANGED_SHARE if name == CHANGED else 0.0
        catalogs.write(catalog / "part-00000.parquet", rows(products, count, changed), SCHEMA)
    start = time.time()
    version = "input.columns.image_version=image_version"
    done = measured_rows.submitted(_ROW, mode, products, options, catalog, folder / "output", version)
    return Night(
        name,
        count,
        scored_since(folder / "output", start),
        done.session_seconds,
        done.process_seconds,
        done.driver_bytes,
    )
