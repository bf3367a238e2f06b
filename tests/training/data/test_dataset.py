"""Training batches: every row as scoring would prepare it, repeatable by seed, and no pickled metadata of strangers."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf.errors import CatalogError
from fashion_udf.model import tokenizer
from fashion_udf.photos import decode
from tests import training_set
from training.data import dataset
from training.data.dataset import TOKEN_STEP, TRAINING_SET, Preparation


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_set.write(tmp_path_factory.mktemp("a training set"))


@pytest.fixture(scope="module")
def preparation(folder: Path) -> Preparation:
    reader = tokenizer.train_tokenizer(dataset.texts(folder / "train"), 300)
    return Preparation(reader, dataset.labels(folder / "train"), 32)


def _rows(path: Path, **columns: list[Any]) -> Path:
    path.mkdir(parents=True)
    pq.write_table(pa.table(columns, schema=TRAINING_SET), path / "part.parquet")
    return path


def test_ordered_batches_hold_every_row_once_in_file_order(folder: Path, preparation: Preparation) -> None:
    batches = list(dataset.ordered_batches(folder / "validation", preparation, 5))
    assert [len(label) for _, label in batches] == [5, 5, 5, 1]
    expected = pq.read_table(folder / "validation")["category"].to_pylist()
    found = [preparation.labels[index] for _, label in batches for index in label.numpy()]
    assert found == expected


def test_pixels_and_token_ids_are_those_of_scoring(folder: Path, preparation: Preparation) -> None:
    row = pq.read_table(folder / "test").slice(0, 1).to_pylist()[0]
    inputs, _ = next(iter(dataset.ordered_batches(folder / "test", preparation, 4)))
    assert np.array_equal(inputs["image"][0], decode.decode(row["image"], 32).pixels)
    ids = tokenizer.encode(tokenizer.tokenizer_from_bytes(preparation.tokenizer), [row["text"]])[0]
    assert np.array_equal(inputs["token_ids"][0][: len(ids)], ids)
    assert not inputs["token_ids"][0][len(ids) :].numpy().any()
    assert inputs["token_ids"].shape[1] == TOKEN_STEP


def test_absent_photos_texts_and_labels_are_told(tmp_path: Path, preparation: Preparation) -> None:
    path = _rows(
        tmp_path / "train",
        product_id=["a", "b"],
        text=["", "Red shirt"],
        image=[b"", b"no photo"],
        category=["Unheard of", preparation.labels[1]],
    )
    inputs, label = next(iter(dataset.ordered_batches(path, preparation, 2)))
    assert label.numpy().tolist() == [-1, 1]
    assert inputs["image_present"].numpy().tolist() == [[0.0], [0.0]]
    assert inputs["token_ids"].numpy().any(axis=1).tolist() == [False, True]
    assert (inputs["image"].numpy() == 255).all()


def test_a_seed_repeats_an_epoch_and_another_seed_shuffles_it(folder: Path, preparation: Preparation) -> None:
    def epoch(seed: int) -> list[int]:
        batches = dataset.training_batches(folder / "train", preparation, 10, seed)
        return [int(index) for _, label in batches for index in label.numpy()]

    first = epoch(1)
    assert len(first) == 60  # whole batches of 64 rows
    assert epoch(1) == first
    assert epoch(2) != first


def test_an_epoch_is_whole_when_petastorm_ends_it_too_early(
    folder: Path, preparation: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from petastorm.workers_pool.thread_pool import ThreadPool
    from petastorm.workers_pool.ventilator import ConcurrentVentilator

    looked, ventilate, all_workers_done = Event(), ConcurrentVentilator._ventilate, ThreadPool.all_workers_done

    def ventilate_once_looked(self: ConcurrentVentilator) -> None:
        looked.wait(60)
        ventilate(self)

    def look_then_wait(self: ThreadPool) -> bool:
        done = all_workers_done(self)
        looked.set()
        while not self._ventilator.completed():
            time.sleep(0.01)
        return bool(done)

    monkeypatch.setattr(ConcurrentVentilator, "_ventilate", ventilate_once_looked)
    monkeypatch.setattr(ThreadPool, "all_workers_done", look_then_wait)
    batches = dataset.ordered_batches(folder / "train", preparation, 16)
    assert sum(len(label) for _, label in batches) == training_set.COUNTS["train"]


def test_counts_and_labels_come_from_the_files(folder: Path) -> None:
    assert dataset.count(folder / "train") == training_set.COUNTS["train"]
    names = dataset.labels(folder / "train")
    assert names == tuple(sorted(set(names)))


@pytest.mark.parametrize("name", ["_metadata", "_common_metadata"])
def test_a_folder_with_metadata_that_petastorm_would_unpickle_is_refused(tmp_path: Path, name: str) -> None:
    path = _rows(tmp_path / "train", product_id=["a"], text=["t"], image=[b""], category=["c"])
    (path / name).write_bytes(b"PAR1")
    with pytest.raises(CatalogError, match=f"Expected a plain Parquet folder: {name} may carry pickled code. Received"):
        dataset.require_plain_parquet(path)


def test_a_footer_with_petastorms_schema_is_refused(tmp_path: Path) -> None:
    table = pa.table({"product_id": ["a"]}).replace_schema_metadata({"dataset-toolkit.unischema.v1": "x"})
    pq.write_table(table, tmp_path / "part.parquet")
    with pytest.raises(
        CatalogError, match="Expected no 'dataset-toolkit.' footer key: it holds pickled code. Received"
    ):
        dataset.count(tmp_path)


def test_a_folder_without_parquet_names_the_job_that_writes_it(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="as fashion-udf training-set writes them. Received: .*/nowhere"):
        dataset.count(tmp_path / "nowhere")
