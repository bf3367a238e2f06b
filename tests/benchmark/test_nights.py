"""The catalogs of the nights after the first, and how many rows a night scored."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.benchmark import catalogs, nights
from tests.benchmark.catalogs import Catalogs


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Catalogs:
    return catalogs.prepare(tmp_path_factory.mktemp("work"), 3, None)


def test_the_first_night_has_unique_titles_and_photos_that_exist(products: Catalogs) -> None:
    rows = list(nights.rows(products, 50, 0.0))
    assert len({row["title"] for row in rows}) == len({row["product_id"] for row in rows}) == 50
    assert {row["image_version"] for row in rows} == {"1"}
    assert all(Path(str(row["image_uri"])).is_file() for row in rows)


def test_the_second_night_changes_one_row_in_a_hundred_by_title_or_by_photo(products: Catalogs) -> None:
    first, second = (list(nights.rows(products, 1000, share)) for share in (0.0, nights.CHANGED_SHARE))
    changed = [(old, new) for old, new in zip(first, second, strict=True) if old != new]
    titles = [new for old, new in changed if old["title"] != new["title"]]
    photos = [(old, new) for old, new in changed if old["image_version"] != new["image_version"]]
    assert (len(changed), len(titles), len(photos)) == (10, 5, 5)
    for old, new in photos:
        assert Path(str(old["image_uri"])).read_bytes() != Path(str(new["image_uri"])).read_bytes()


def test_rows_are_scored_tonight_if_their_time_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "tags" / "current"
    folder.mkdir(parents=True)
    times = [datetime.datetime.fromtimestamp(second, datetime.UTC) for second in (100, 200, 300)]
    table = pa.table({"tagged_at": pa.array(times, pa.timestamp("us", "UTC"))})
    pq.write_table(table, folder / "part.parquet")
    assert [nights.scored_since(tmp_path, second) for second in (50.0, 150.0, 300.0, 301.0)] == [3, 2, 1, 0]
