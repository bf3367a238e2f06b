"""Labelled rows: every row as scoring would prepare it, in the order of the files, with photos by product."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fashion_udf.model import tokenizer
from fashion_udf.photos import decode
from tests import training_set
from training.data import dataset, labelled_rows
from training.data.dataset import INPUTS, Preparation


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
    texts = labelled_rows.column(folder, "text")
    return Preparation(tokenizer.train_tokenizer(texts, 300), dataset.labels(folder)[1:], 32)


def test_batches_hold_every_row_once_in_file_order_and_only_the_last_is_smaller(
    folder: Path, preparation: Preparation
) -> None:
    batches = list(labelled_rows.batches(folder, preparation, 5))
    assert [len(label) for _, label, _ in batches] == [5, 5, 5, 1]
    assert [preparation.labels[at] if at >= 0 else None for _, label, _ in batches for at in label] == [
        name if name in preparation.labels else None for name in labelled_rows.column(folder, "category")
    ]


def test_pixels_and_token_ids_are_those_of_scoring(folder: Path, preparation: Preparation) -> None:
    rows = pq.read_table(folder).slice(0, 4).to_pylist()
    inputs, *_ = next(labelled_rows.batches(folder, preparation, 4))
    assert inputs["token_ids"].shape == (4, tokenizer.MAX_TOKENS)
    reader = tokenizer.tokenizer_from_bytes(preparation.tokenizer)
    for row, pixels, present, token_ids in zip(rows, *(inputs[name] for name in INPUTS), strict=True):
        assert present == [1.0]
        assert np.array_equal(pixels, decode.decode(row["image"], 32).pixels)
        ids = tokenizer.encode(reader, [row["text"]])[0]
        assert np.array_equal(token_ids, np.pad(ids, (0, tokenizer.MAX_TOKENS - len(ids))))


def test_texts_are_edited_before_they_are_tokenized(folder: Path, preparation: Preparation) -> None:
    rows, seen = pq.read_table(folder), []

    def edit(*row: str) -> str:
        seen.append(row)
        return ""

    batches = labelled_rows.batches(folder, preparation, 16, edit)
    assert [inputs["token_ids"].any() for inputs, *_ in batches] == [False]
    assert seen == [*zip(*(rows[name].to_pylist() for name in ("product_id", "text", "category")), strict=True)]


def test_the_title_is_the_first_line() -> None:
    assert labelled_rows.titles(["Red shirt\nFor men.\nCotton.", "Shoe", ""]) == ["Red shirt", "Shoe", ""]


def test_photos_are_those_of_the_catalog_for_the_products_asked_for(folder: Path) -> None:
    rows = pq.read_table(folder).to_pylist()
    expected = {row["product_id"]: row["image"] for row in rows[::5]}
    assert labelled_rows.photos(folder, expected.keys() | {"unheard of"}) == expected
