"""The audit counts the rows of a table, those in the published one too, and embeddings nobody can use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf.config import Gates
from fashion_udf.pipeline import audit, gates
from fashion_udf.pipeline.audit import Audit
from fashion_udf.schema import TAGS
from tests.tag_rows import UNIT, tags

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EMPTY = Audit(0, 0, 0, {}, {}, {}, {}, None, {}, {}, 0, [])
BAD = {
    "nan": [float("nan"), *UNIT[1:]],
    "infinite": [float("inf"), *UNIT[1:]],
    "huge": [3e38, *UNIT[1:]],
    "short": UNIT[:-1],
    "long": [*UNIT, 0.0],
    "empty": [],
    "zero": [0.0] * 256,
    "long by a bit": [1.0011, *UNIT[1:]],
    "short by a bit": [0.9989, *UNIT[1:]],
    "a hole": [*UNIT[:-1], None],
}
GOOD = {"unit": UNIT, "rounded up": [1.0009, *UNIT[1:]], "rounded down": [-0.9991, *UNIT[1:]], "not scored": None}


def _vectors(vectors: list[Any]) -> pa.Array:
    return pa.array(vectors, TAGS.field("embedding").type)


@pytest.mark.parametrize("name", BAD)
def test_an_embedding_that_is_no_unit_vector_is_counted(name: str) -> None:
    assert audit.bad_embeddings(_vectors([UNIT, None, BAD[name]])) == 1


@pytest.mark.parametrize("name", GOOD)
def test_an_embedding_that_is_a_unit_vector_is_not_counted(name: str) -> None:
    assert audit.bad_embeddings(_vectors([GOOD[name], None])) == 0


def test_embeddings_and_texts_are_counted_in_all_batches_of_all_files(spark: SparkSession, tmp_path: Path) -> None:
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", 3)
    batches = [[*GOOD.values()], [*BAD.values(), *GOOD.values()], [None]]
    for number, vectors in enumerate(batches):
        texts = pa.array([b"caf\xe9", *[b"caf\xc3\xa9"] * (len(vectors) - 1)], pa.binary()).view(pa.string())
        rows = pa.table({"embedding": _vectors(vectors), "error": texts, "category": texts})
        pq.write_table(rows, tmp_path / f"{number}.parquet")
    assert audit.bad_values(spark.read.parquet(str(tmp_path))) == (len(BAD), 2 * len(batches))


def test_texts_that_are_not_utf_8_are_counted_in_all_columns() -> None:
    texts = pa.array([b"caf\xe9", b"caf\xc3\xa9", None, b"\xff"], pa.binary()).view(pa.string())
    rows = {"error": texts, "embedding": _vectors([UNIT] * 4), "number": pa.array([1, 2, 3, 4]), "category": texts}
    assert audit.bad_texts(pa.RecordBatch.from_pydict(rows)) == 4


def test_a_table_that_no_reader_opens_is_refused_whatever_anybody_accepts() -> None:
    (broken,) = gates.broken(replace(EMPTY, bad_texts=2), 0, Gates())
    assert (broken.gate, broken.message) == (
        "texts",
        "Expected every text in UTF-8. Received: 2 invalid ones, which no reader opens",
    )
    assert broken.gate in gates.ABSOLUTE


def test_metrics_list_the_flips_most_frequent_first() -> None:
    found = replace(EMPTY, flips={("a", "b"): 1, ("b", "a"): 2}).as_dict()
    assert found["flips"] == [{"from": "b", "to": "a", "rows": 2}, {"from": "a", "to": "b", "rows": 1}]
    assert found["rows"] == 0 and found["previous_rows"] is None


def test_the_audit_counts_what_the_gates_look_at(spark: SparkSession) -> None:
    table = tags(
        spark,
        {"product_id": "same"},
        {"product_id": "twice"},
        {
            "product_id": "twice",
            "category": "Hats",
            "status": "image_io",
            "modality": "text",
            "decision": "review",
        },
        {"product_id": "flipped", "category": "Hats"},
        {"product_id": "lost", "category": None, "embedding": UNIT[:-1]},
    )
    previous = tags(
        spark,
        {"product_id": "same"},
        {"product_id": "flipped"},
        {"product_id": "lost", "category": "Hats"},
        {"product_id": "gone"},
    )
    found = audit.audit(table, previous)
    rows = 5
    assert found == Audit(
        rows=rows,
        ids=rows - 1,
        bad_embeddings=1,
        statuses={"ok": rows - 1, "image_io": 1},
        decisions={"auto": rows - 1, "review": 1},
        modalities={"both": rows - 1, "text": 1},
        categories={"Tops": rows - 3, "Hats": 2},
        previous_rows=4,
        previous_categories={"Tops": 3, "Hats": 1},
        flips={("Tops", "Hats"): 1, ("Hats", "None"): 1},
        common=3,
        overrides=[],
        without_category=1,
    )


def test_the_audit_counts_withdrawn_decisions_of_products_that_stay_and_rows_that_have_nothing(
    spark: SparkSession,
) -> None:
    decided, nothing = {"category_source": "override"}, {"modality": "none", "category": None}
    previous = tags(spark, *({"product_id": name, **decided} for name in ("stays", "withdrawn", "gone")))
    table = tags(
        spark,
        {"product_id": "stays", **decided},
        {"product_id": "withdrawn"},
        {"product_id": "new", **decided},
        {"product_id": "nothing", "status": "image_none", **nothing},
        {"product_id": "nothing, but decided", "status": "image_none", "modality": "none", **decided},
        {"product_id": "failed", "status": "image_io", **nothing},
    )
    found = audit.audit(table, previous)
    assert (found.decided_before, found.withdrawn) == (2, 1)
    assert (found.without_input, found.without_category) == (2, 2)


def test_the_audit_counts_how_often_people_agreed_with_the_model(spark: SparkSession) -> None:
    given = {"category_source": "override"}
    table = tags(
        spark,
        {"product_id": "a", "category": "Tops", **given},
        {"product_id": "b", "category": "Kites", **given},
        {"product_id": "c", "category": "Kites", "model_category": None, **given},
        {"product_id": "d", "category": "Hats", "model_category": "Hats", "model_version": "v2", **given},
        {"product_id": "e", "category": "Hats", "model_category": "Hats", "model_version": "v2", "status": "image_io",
         **given},
        {"product_id": "nobody decided", "category": "Kites"},
        {"product_id": "kept", "category": "Kites", "category_source": "kept"},
    )  # fmt: skip
    assert audit.audit(table, tags(spark, {"product_id": "gone", **given})).overrides == [
        {"model_version": "v1", "model_category": None, "decided": 1, "agreed": 0},
        {"model_version": "v1", "model_category": "Tops", "decided": 2, "agreed": 1},
        {"model_version": "v2", "model_category": "Hats", "decided": 2, "agreed": 2},
    ]


def test_an_empty_first_table_is_audited(spark: SparkSession) -> None:
    found = audit.audit(tags(spark), None)
    assert found == EMPTY
    assert gates.broken(found, 0, Gates()) == []
