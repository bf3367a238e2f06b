"""Random histories of nights against an oracle that scores the whole catalog anew each time."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fashion_udf.config import JobConfig
from fashion_udf.pipeline import chunks, tagging
from fashion_udf.pipeline.comparison import Scope
from fashion_udf.table import snapshot
from tests.nights import Killed, Shop, dies_at, held
from tests.soak import SOAK, require_rows, rounds

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

OPERATIONS = 20 if SOAK else 12

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(0 if SOAK else 600),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

_CHANGES = {
    "add": lambda shop: shop.add(3),
    "change": lambda shop: shop.change(3),
    "remove": lambda shop: shop.remove(2),
    "reorder": lambda shop: shop.reorder(),
    "override": lambda shop: shop.override(2),
}


def test_after_any_history_the_table_is_what_scoring_everything_anew_gives(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "MIN_CHUNK_ROWS", 3)
    for number, draws in rounds("histories", 1):
        _live(spark, tmp_path / str(number), draws)
        shutil.rmtree(tmp_path / str(number))


def _live(spark: SparkSession, folder: Path, draws: random.Random) -> None:
    shop = Shop(draws)
    shop.add(8)
    told = []
    for _ in range(OPERATIONS):
        operation = draws.choice([*_CHANGES, "crash", "rerun", "backfill"])
        told.append(operation)
        if operation in _CHANGES:
            _CHANGES[operation](shop)
        settings = shop.write(folder)
        before = held(str(folder / "out"))
        if operation == "crash":
            shop.change(2)
            settings = shop.write(folder)
            with pytest.raises(Killed), dies_at(draws.randint(1, 150)):
                tagging.tag(spark, settings)
                raise Killed  # it was done before that call
            assert held(str(folder / "out")) in (before, shop.expected()), told
        elif operation == "backfill":
            _backfill(spark, settings, shop, before)
        else:
            tagging.tag(spark, settings)
            require_rows(held(str(folder / "out")), shop.expected(), told)
    tagging.tag(spark, settings)
    require_rows(held(str(folder / "out")), shop.expected(), told)
    head = snapshot.current(str(folder / "out"))
    outcome = tagging.tag(spark, settings)
    assert outcome.counts.scored == 0 and not outcome.published
    assert snapshot.current(str(folder / "out")) == head


def _backfill(spark: SparkSession, settings: JobConfig, shop: Shop, before: dict[str, object]) -> None:
    """Bring some products up to date; every other row stays as it was."""
    some = set(shop.draws.sample(sorted(shop.products), min(3, len(shop.products))))
    selected = spark.createDataFrame([(name,) for name in sorted(some)], "product_id string")
    tagging.tag(spark, settings, Scope(selected=selected))
    found, expected = held(settings.output.path), shop.expected()
    for name in {*found, *before}:
        if name in some:
            assert found[name] == expected[name]
        else:
            # What people say holds for every row of the table.
            assert found[name][1:] == before[name][1:]  # type: ignore[index]
