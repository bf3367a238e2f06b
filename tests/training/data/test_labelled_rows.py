"""Labelled rows: the batches of training's own reader, in the order of the columns, with photos by product."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fashion_udf.model import tokenizer
from tests import training_set
from training.data import dataset, labelled_rows
from training.data.dataset import Preparation


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a split in two files, the later of which was written first."""
    path = training_set.write(tmp_path_factory.mktemp("set")) / "test"
    table = pq.read_table(path / "part-0.parquet")
    pq.write_table(table.slice(9), path / "part-1.parquet")
    pq.write_table(table.slice(0, 9), path / "part-0.parquet")
    return path


@pytest.fixture(scope="module")
def preparation(folder: Path) -> Preparation:
    return Preparation(tokenizer.train_tokenizer(dataset.texts(folder), 300), dataset.labels(folder)[1:], 32)


def test_batches_are_those_of_the_training_reader(folder: Path, preparation: Preparation) -> None:
    found = list(labelled_rows.batches(folder, preparation, 4))
    assert [len(label) for _, label in found] == [4, 4, 1, 4, 3]
    expected = list(dataset.ordered_batches(folder, preparation, 16))
    for name in dataset.INPUTS:
        given = np.concatenate([inputs[name].numpy() for inputs, _ in expected])
        assert np.array_equal(np.concatenate([inputs[name] for inputs, _ in found]), given), name
    assert np.array_equal(np.concatenate([label for _, label in found]), expected[0][1].numpy())


def test_columns_have_the_order_of_the_batches(folder: Path, preparation: Preparation) -> None:
    labels = np.concatenate([label for _, label in labelled_rows.batches(folder, preparation, 4)])
    categories = labelled_rows.column(folder, "category")
    assert [preparation.labels[at] if at >= 0 else None for at in labels] == [
        name if name in preparation.labels else None for name in categories
    ]


def test_texts_are_edited_before_they_are_tokenized(folder: Path, preparation: Preparation) -> None:
    found = list(labelled_rows.batches(folder, preparation, 16, edit=lambda title: ""))
    assert not any(inputs["token_ids"].any() for inputs, _ in found)


def test_the_title_is_the_first_line() -> None:
    assert labelled_rows.titles(["Red shirt\nFor men.\nCotton.", "Shoe", ""]) == ["Red shirt", "Shoe", ""]


def test_photos_come_as_the_catalog_gave_them_for_the_products_asked_for(folder: Path) -> None:
    rows = pq.read_table(folder).to_pylist()
    wanted = {row["product_id"]: row["image"] for row in rows[::5]}
    assert labelled_rows.photos(folder, wanted.keys() | {"unheard of"}) == wanted
