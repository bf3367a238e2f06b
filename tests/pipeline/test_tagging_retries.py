"""Photos that can never be had, through whole nights: tried on a stated number of nights, then left to rest."""

from __future__ import annotations

import hashlib
import io
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashion_udf import config
from fashion_udf.config import JobConfig
from fashion_udf.pipeline import chunks, planning, tagging
from fashion_udf.pipeline.comparison import Scope
from fashion_udf.pipeline.outcome import Outcome
from fashion_udf.table import paths, snapshot
from tests import small_bundle

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def _photo(level: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (level, 10, 10)).save(file, "PNG")
    return file.getvalue()


class _Shop:
    """A catalog, its nights, and the photos that hang the decoder."""

    def __init__(self, spark: SparkSession, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.spark, self.folder, self.output = spark, folder, str(folder / "out")
        self.hanging: set[bytes] = set()
        self.tries: list[int] = []  # rows that each night scored
        self._patch, self._night = monkeypatch, date(2026, 1, 1)
        whole, score = chunks._results, chunks.score

        def results(rows: DataFrame, udf: Any, job: Any) -> DataFrame:
            from pyspark.sql import functions as F

            found = whole(rows, udf, job)
            digests = [hashlib.sha256(photo).hexdigest() for photo in self.hanging]
            hangs = F.col("image_sha256").isin(*digests)
            changed = {"status": F.lit("image_timeout"), "error": F.lit("took too long"), "modality": F.lit("text")}
            return found.withColumns(
                {name: F.when(hangs, value).otherwise(F.col(name)) for name, value in changed.items()}
            )

        def counted(job: Any, counts: Any, *rest: Any) -> int:
            self.tries.append(counts.to_score)
            return score(job, counts, *rest)

        monkeypatch.setattr(chunks, "_results", results)
        monkeypatch.setattr(chunks, "score", counted)

    def night(self, products: dict[str, tuple[str, bytes]], scope: Scope | None = None, days: int = 1) -> Outcome:
        """Run a night on a catalog of titles and photos."""
        self._night += timedelta(days=days)
        self._patch.setattr(planning, "today", lambda: self._night)
        (self.folder / "in").mkdir(exist_ok=True)
        titles, photos = zip(*products.values(), strict=True)
        table = pa.table({"product_id": [*products], "title": titles, "image": pa.array(photos, pa.binary())})
        pq.write_table(table, self.folder / "in" / "part.parquet")
        tree = {
            "input": {"path": str(self.folder / "in")},
            "output": {"path": self.output},
            "bundle": str(small_bundle.directory()),
            "limits": {"retry_nights": 2},
            "gates": {"max_failures": 1},
        }
        self.tries.clear()
        return tagging.tag(self.spark, config.validate(JobConfig, tree, "a night"), scope)

    def published(self) -> dict[str, dict[str, Any]]:
        commit = snapshot.current(self.output)
        assert commit is not None
        rows = ds.dataset(paths.data_dir(self.output, commit), format="parquet").to_table().to_pylist()
        return {row["product_id"]: row for row in rows}


@pytest.fixture
def shop(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Shop:
    return _Shop(spark, tmp_path, monkeypatch)


def test_a_photo_that_always_fails_is_tried_on_two_nights_and_a_failure_once_more_publishes_nothing(
    shop: _Shop,
) -> None:
    shop.hanging = {_photo(1)}
    products = {"sound": ("Red shirt", _photo(2)), "hangs": ("Blue hat", _photo(1))}
    first = shop.night(products)
    assert first.published and shop.published()["hangs"]["status"] == "image_timeout"
    outcome = shop.night(products)
    assert shop.tries == [1] and not outcome.published, "the row is as it was"
    assert dict(outcome.counts.unchanged) == {"image_timeout": 1}
    outcome = shop.night(products)
    assert shop.tries == [] and not outcome.published
    assert (outcome.number, outcome.counts.carried, outcome.counts.resting) == (1, 2, 1)
    # Another night's work neither wakes it nor forgets it.
    products["new"] = ("Green bag", _photo(3))
    assert shop.night(products).published and shop.tries == [1]
    shop.night(products)
    assert shop.tries == []
    assert shop.published()["hangs"]["run_id"] == first.run_id
    products["hangs"] = ("Blue cap", _photo(1))  # another text wakes it, as another photo does
    shop.night(products)
    assert shop.tries == [1] and shop.published()["hangs"]["reason"] == "text"


def test_a_new_photo_that_always_fails_leaves_the_good_row_until_a_person_asks(shop: _Shop) -> None:
    shop.night({"a": ("Red shirt", _photo(1))})
    before = shop.published()
    shop.hanging = {_photo(2)}
    products = {"a": ("Red shirt", _photo(2))}
    for tries in ([1], [1], []):
        assert not shop.night(products).published
        assert shop.tries == tries
    assert shop.published() == before
    shop.hanging = set()
    assert shop.night(products, Scope(retry_failed=True)).published
    assert shop.published()["a"]["status"] == "ok"


def test_runs_of_one_day_are_one_night_and_a_backfill_forgets_no_other_product(shop: _Shop) -> None:
    shop.hanging = {_photo(1), _photo(2)}
    products = {"a": ("Red shirt", _photo(1)), "b": ("Blue hat", _photo(2))}
    for _ in range(2):
        shop.night(products, days=0)
        assert shop.tries == [2]
    selected = shop.spark.createDataFrame([("a",)], "product_id string")
    shop.night(products, Scope(selected=selected))
    assert shop.tries == [1], "the second night of one"
    shop.night(products)
    assert shop.tries == [1], "the second night of the other"
    shop.night(products)
    assert shop.tries == []
