"""Training batches: every row as scoring would prepare it, repeatable by seed, and no pickled metadata of strangers."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf.errors import CatalogError
from fashion_udf.model import tokenizer
from tests import training_set
from training.data import dataset, labelled_rows
from training.data.dataset import TRAINING_SET, Attribute, Preparation
from training.data.outliers import Outliers
from training.data.photo_cache import PhotoCache
from training.data.training_batches import Shard, training_batches


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_set.write(tmp_path_factory.mktemp("a training set"))


@pytest.fixture(scope="module")
def preparation(folder: Path) -> Preparation:
    reader = tokenizer.train_tokenizer(labelled_rows.column(folder / "train", "text"), 300)
    values = dataset.attribute_values(folder / "train")
    return Preparation(reader, dataset.labels(folder / "train"), 32, values)


def _rows(path: Path, **columns: list[Any]) -> Path:
    path.mkdir(parents=True)
    columns.setdefault("attributes", ["{}"] * len(columns["product_id"]))
    pq.write_table(pa.table(columns, schema=TRAINING_SET), path / "part.parquet")
    return path


def test_training_batches_have_the_rows_that_measuring_reads(folder: Path, preparation: Preparation) -> None:
    def edit(product_id: str, text: str, category: str) -> str:
        return text.partition("\n")[0]  # without descriptions, with which attributes are not learned

    ((inputs, *rest),) = training_batches(folder / "test", preparation, 16, seed=1, edit=edit)
    ((expected_inputs, *expected_rest),) = labelled_rows.batches(folder / "test", preparation, 16, edit)
    trained = [*(inputs[name].numpy() for name in dataset.INPUTS), *(part.numpy() for part in rest)]
    measured = [*(expected_inputs[name] for name in dataset.INPUTS), *expected_rest]
    assert [(part.dtype, part.shape) for part in trained] == [(part.dtype, part.shape) for part in measured]
    assert Counter(_rows_as_bytes(trained)) == Counter(_rows_as_bytes(measured))
    assert _rows_as_bytes(trained) != _rows_as_bytes(measured), "training shuffles"


def _rows_as_bytes(arrays: list[np.ndarray]) -> list[tuple[bytes, ...]]:
    return [tuple(part.tobytes() for part in row) for row in zip(*arrays, strict=True)]


def test_absent_photos_and_texts_are_blank_and_unknown_labels_are_minus_one(
    tmp_path: Path, preparation: Preparation
) -> None:
    path = _rows(
        tmp_path / "train",
        product_id=["a", "b"],
        text=["", "Red shirt"],
        image=[b"", b"no photo"],
        category=["Unheard of", preparation.labels[1]],
    )
    ((inputs, label, _),) = training_batches(path, preparation, 2, seed=1)
    order = np.argsort(label.numpy())
    assert label.numpy()[order].tolist() == [-1, 1]
    assert inputs["image_present"].numpy().tolist() == [[0.0], [0.0]]
    assert inputs["token_ids"].numpy()[order].any(axis=1).tolist() == [False, True]
    assert (inputs["image"].numpy() == 255).all()


def test_texts_are_changed_by_what_is_known_of_their_row(folder: Path, preparation: Preparation) -> None:
    rows = {row["product_id"]: row for row in pq.read_table(folder / "train").to_pylist()}
    seen = []

    def edit(product_id: str, text: str, category: str) -> str:
        assert (rows[product_id]["text"], rows[product_id]["category"]) == (text, category)
        seen.append(product_id)
        return ""

    batches = list(training_batches(folder / "train", preparation, 10, seed=1, edit=edit))
    assert len({*seen}) == len(seen) >= 60
    assert not any(inputs["token_ids"].numpy().any() for inputs, *_ in batches)


def _known(path: Path, texts: list[str], edit: dataset.Edit | None) -> list[bool]:
    """Whether training keeps the attributes of rows that all have some, in the order of `texts`."""
    count = len(texts)
    table = _rows(
        path,
        product_id=[str(number) for number in range(count)],
        text=texts,
        image=[b""] * count,
        category=[f"c{number}" for number in range(count)],
        attributes=['{"use":"a"}'] * count,
    )
    labels = tuple(f"c{number}" for number in range(count))
    known = Preparation(tokenizer.train_tokenizer(["t"], 300), labels, 32, (Attribute("use", ("a", "b")),))
    ((_, label, values),) = training_batches(table, known, count, seed=1, edit=edit)
    return [bool(value == 0) for value in values.numpy()[np.argsort(label.numpy()), 0]]


def test_attributes_are_not_learned_with_a_description_that_may_spell_them_out(tmp_path: Path) -> None:
    told = "Red shirt\nA red shirt for men, to be worn in summer."
    assert _known(tmp_path / "set", ["Red shirt", told, "", "\nFor men"], None) == [True, False, True, False]


def test_attributes_are_learned_where_an_edit_takes_the_description_away(tmp_path: Path) -> None:
    description = "A red shirt for men, to be worn in summer."
    edits = {
        "0": "Red shirt",
        "1": f"Shirt, red\nFree returns. {description} Buy now.",
        "2": f"Red shirt\n{description[:25]}",
        "3": f"Red shirt\n{description[:12]}",
        "4": "Red shirt\nFree returns.",
    }
    texts = [f"Red shirt\n{description}"] * len(edits)
    known = _known(tmp_path / "set", texts, lambda product_id, text, category: edits[product_id])
    assert known == [True, False, False, True, True]


def test_outliers_are_shuffled_among_the_rows_of_an_epoch(folder: Path, preparation: Preparation) -> None:
    outliers = Outliers(photos=20, titles=12)

    def epoch(seed: int, skip: int = 0) -> list[tuple[bytes, ...]]:
        batches = training_batches(folder / "train", preparation, 8, seed, skip=skip, outliers=outliers)
        rows = []
        for inputs, label, _ in batches:
            rows += _rows_as_bytes([*(inputs[name].numpy() for name in dataset.INPUTS), label.numpy()])
        return rows

    rows, others = epoch(1), len(preparation.labels).to_bytes(4, "little")
    kinds = [row[-1] == others for row in rows]
    assert (len(rows), sum(kinds)) == (64 + 32, 32)
    assert min(sum(kinds[start : start + 32]) for start in (0, 32, 64)) >= 4, "anywhere in the epoch"
    assert epoch(1, skip=5) == rows[40:], "an epoch that goes on has the rows that were left"
    assert Counter(epoch(2)) != Counter(rows), "each epoch draws its own"


def test_workers_share_the_outliers(folder: Path, preparation: Preparation) -> None:
    texts = []
    for index in (0, 1):
        batches = training_batches(
            folder / "train", preparation, 8, 1, Shard(index, 2), outliers=Outliers(titles=8)
        )  # repeated: a worker's 32 products and 4 titles
        ((inputs, label, _),) = batches.unbatch().batch(36).take(1)
        other = label.numpy() == len(preparation.labels)
        texts += [row.tobytes() for row in inputs["token_ids"].numpy()[other]]
    assert len(texts) == 8 and len({*texts}) == 8


def test_decoded_photos_are_kept_for_the_next_epoch(
    folder: Path, preparation: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def epoch(seed: int, **options: Any) -> Counter[tuple[bytes, ...]]:
        batches = training_batches(folder / "train", preparation, 8, seed, outliers=Outliers(photos=8), **options)
        rows: list[tuple[bytes, ...]] = []
        for inputs, *_ in batches:
            rows += _rows_as_bytes([inputs["image"].numpy(), inputs["image_present"].numpy()])
        return Counter(rows)

    photos = PhotoCache(preparation.image_size, 64, 10**7)
    assert epoch(1, photos=photos) == epoch(1)
    without = epoch(2)
    monkeypatch.setattr("training.data.photo_cache.decode", None)  # only outliers are decoded from now on
    assert epoch(2, photos=photos) == without


def test_a_seed_repeats_an_epoch_and_another_seed_shuffles_it(folder: Path, preparation: Preparation) -> None:
    def epoch(seed: int) -> list[int]:
        batches = training_batches(folder / "train", preparation, 10, seed)
        return [int(index) for _, label, _ in batches for index in label.numpy()]

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
    batches = training_batches(folder / "train", preparation, 16, seed=1)
    assert sum(len(label) for _, label, _ in batches) == training_set.COUNTS["train"]


def test_rows_are_drawn_by_their_ids_and_read_in_file_order(folder: Path, preparation: Preparation) -> None:
    split = folder / "validation"
    ids = labelled_rows.drawn(split, 5)
    assert len(ids) == 5 and ids < labelled_rows.drawn(split, 6)
    assert labelled_rows.drawn(split, 1000) == {*labelled_rows.column(split, "product_id")}
    places = [place for place, name in enumerate(labelled_rows.column(split, "product_id")) if name in ids]
    ((_, every, _),) = labelled_rows.batches(split, preparation, 16)
    ((_, label, _),) = labelled_rows.batches(split, preparation, 16, product_ids=ids)
    assert label.tolist() == every[places].tolist()


def test_counts_and_labels_come_from_the_files(folder: Path) -> None:
    assert dataset.count(folder / "train") == training_set.COUNTS["train"]
    names = dataset.labels(folder / "train")
    assert names == tuple(sorted(set(names)))


def test_every_batch_has_the_tokenizers_longest_row(folder: Path, preparation: Preparation) -> None:
    batches = training_batches(folder / "train", preparation, 4, seed=1)
    assert {inputs["token_ids"].shape for inputs, *_ in batches} == {(4, tokenizer.MAX_TOKENS)}
    assert batches.element_spec[0]["token_ids"].shape == (None, tokenizer.MAX_TOKENS)


def test_a_product_of_another_kind_has_the_index_after_the_labels(tmp_path: Path, preparation: Preparation) -> None:
    categories = [preparation.labels[0], dataset.OTHER, "Unheard of"]
    path = _rows(tmp_path / "set", product_id=["a", "b", "c"], text=["t"] * 3, image=[b""] * 3, category=categories)
    ((_, label, _),) = labelled_rows.batches(path, preparation, 3)
    assert label.tolist() == [0, len(preparation.labels), -1]
    assert dataset.labels(path) == (preparation.labels[0], "Unheard of")


def test_attributes_are_indexes_of_their_values_and_minus_one_where_unknown(tmp_path: Path) -> None:
    attributes = ['{"gender":"Women","size":"L"}', '{"season":"Winter","gender":"Robots"}', "{}"]
    path = _rows(
        tmp_path / "set",
        product_id=["a", "b", "c"],
        text=["t"] * 3,
        image=[b""] * 3,
        category=["c"] * 3,
        attributes=attributes,
    )
    known = (Attribute("season", ("Summer", "Winter")), Attribute("gender", ("Men", "Women")))
    preparation = Preparation(tokenizer.train_tokenizer(["t"], 300), ("c",), 32, known)
    ((_, _, values),) = labelled_rows.batches(path, preparation, 3)
    assert values.dtype == np.int32
    assert values.tolist() == [[-1, 1], [1, -1], [-1, -1]]


def test_an_attributes_values_are_those_of_two_rows_and_more(tmp_path: Path) -> None:
    rows = [
        '{"use":"b"}',
        '{"use":"a","one":"x"}',
        '{"use":"a","one":"x"}',
        '{"use":"b"}',
        '{"use":"c","none":"y"}',
        "{}",
    ]
    count = len(rows)
    path = _rows(
        tmp_path / "set",
        product_id=[str(number) for number in range(count)],
        text=["t"] * count,
        image=[b""] * count,
        category=["c"] * count,
        attributes=rows,
    )
    assert dataset.attribute_values(path) == (Attribute("use", ("a", "b")),)


@pytest.mark.parametrize("text", ["", "[]", '"x"', '{"gender": 1}', "null"])
def test_attributes_that_are_no_object_of_strings_are_shown(tmp_path: Path, text: str) -> None:
    path = _rows(tmp_path / "set", product_id=["a"], text=["t"], image=[b""], category=["c"], attributes=[text])
    with pytest.raises(CatalogError) as raised:
        dataset.attribute_values(path)
    assert str(raised.value) == (f"Expected the column attributes to hold JSON objects of strings. Received: {text!r}")


def test_a_training_set_of_an_earlier_release_is_to_be_written_again(tmp_path: Path) -> None:
    pq.write_table(pa.table({name: ["a"] for name in TRAINING_SET.names[:-1]}), tmp_path / "part.parquet")
    with pytest.raises(CatalogError) as raised:
        dataset.count(tmp_path)
    assert str(raised.value) == (
        "Expected the columns product_id, text, image, category, attributes. Received: "
        f"{tmp_path / 'part.parquet'} without attributes. Write it again with fashion-udf training-set"
    )


@pytest.mark.parametrize("name", ["_metadata", "_common_metadata"])
def test_a_folder_with_metadata_that_petastorm_would_unpickle_is_refused(tmp_path: Path, name: str) -> None:
    path = _rows(tmp_path / "train", product_id=["a"], text=["t"], image=[b""], category=["c"])
    (path / name).write_bytes(b"PAR1")
    with pytest.raises(CatalogError, match=f"Expected a plain Parquet folder: {name} may hold pickled code. Received"):
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
