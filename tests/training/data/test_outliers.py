"""Rows of no category: as many as asked for, of training's kinds, the same for a seed and new for another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fashion_udf.photos.decode import decode
from tests import training_set
from training.data import odd_photos, other_goods
from training.data.outliers import Outliers, outlier_rows

SIZE = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_set.write(tmp_path_factory.mktemp("set")) / "train"


def _rows(folder: Path, seed: int = 1, **counts: int) -> list[dict[str, Any]]:
    return list(outlier_rows(Outliers(**counts), folder, SIZE, seed))


def test_there_are_none_by_default(folder: Path) -> None:
    assert _rows(folder) == []


def test_pictures_have_no_text_and_titles_no_photo_and_all_are_of_another_kind(folder: Path) -> None:
    rows = _rows(folder, photos=20, titles=30)
    assert [bool(row["image"]) for row in rows] == [True] * 20 + [False] * 30
    assert [bool(row["text"]) for row in rows] == [False] * 20 + [True] * 30
    assert {(row["category"], row["attributes"]) for row in rows} == {("other", "{}")}
    assert len({row["product_id"] for row in rows}) == 50


def test_a_seed_repeats_them_and_another_seed_makes_others(folder: Path) -> None:
    first = _rows(folder, photos=18, titles=18)
    assert _rows(folder, photos=18, titles=18) == first
    other = _rows(folder, seed=2, photos=18, titles=18)
    assert [row["product_id"] for row in other] == [row["product_id"] for row in first]
    assert other != first


def test_pictures_are_of_training_s_kinds_and_the_photos_that_are_spoiled_are_the_split_s(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []

    def recorded(*arguments: Any) -> Any:
        asked.append(arguments)
        return made(*arguments)

    made = odd_photos.odd_photos
    monkeypatch.setattr(odd_photos, "odd_photos", recorded)
    rows = _rows(folder, photos=18)
    ((count, seed, size, photos, kinds),) = asked
    assert (count, seed, size, kinds) == (18, 1, SIZE, odd_photos.TRAINED)
    assert 30 < len(photos) <= 64 and photos[0].shape == (SIZE, SIZE, 3)
    pictures = list(made(18, 1, SIZE, photos, odd_photos.TRAINED))
    assert all(
        (decode(row["image"], SIZE).pixels == picture).all() for row, picture in zip(rows, pictures, strict=True)
    )


def test_no_title_is_of_a_kind_for_judging(folder: Path) -> None:
    judged = [noun.casefold() for noun in other_goods.nouns(held_out=True)]
    ours = {noun.casefold() for noun in other_goods.nouns()}
    for row in _rows(folder, titles=200):
        title = row["text"].casefold()
        assert any(noun in title for noun in ours)
        assert not any(noun in title and not any(noun in own for own in ours if own in title) for noun in judged)
