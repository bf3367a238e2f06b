"""Files of titles: columns by name, and a file that holds none is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashion_udf.errors import InputError
from training.data.dataset import TRAINING_SET
from training.evaluation import titles


def test_rows_have_the_columns_of_a_training_set_and_no_photo(tmp_path: Path) -> None:
    file = tmp_path / "titles.csv"
    file.write_text('category,title\nTies,"Red, striped tie"\nBelts,<b>Belt</b>\n', encoding="utf-8")
    rows = titles.read(file)
    assert all(row.keys() == {*TRAINING_SET.names} for row in rows)
    assert [(row["text"], row["category"]) for row in rows] == [("Red, striped tie", "Ties"), ("Belt", "Belts")]
    assert not any(row["image"] for row in rows) and len({row["product_id"] for row in rows}) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,category\na,b\n", "Expected the columns title and category in .* Received: no title"),
        ("", "Received: no category, title"),
        ("title,category\n", "Expected titles in .*titles.csv. Received: none"),
    ],
)
def test_a_file_without_titles_is_refused(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "titles.csv"
    file.write_text(content)
    with pytest.raises(InputError, match=message):
        titles.read(file)
