"""The job that ours is compared with gives the reference's results."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashion_udf.model import bundle, tokenizer
from fashion_udf.model.engines import registry
from fashion_udf.photos import decode
from tests.benchmark import catalogs, plain_job, plain_model, stages
from tests.submit import REPOSITORY

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS = 3


def test_a_photo_is_decoded_in_full_onto_a_white_square() -> None:
    file = io.BytesIO()
    Image.new("RGB", (300, 400), "black").save(file, "PNG")
    pixels = plain_model.decode(file.getvalue(), 224)
    assert (pixels.shape, pixels.dtype) == ((224, 224, 3), np.uint8)
    assert pixels[:, :28].min() == pixels[:, -28:].min() == 255 and pixels[:, 28:-28].max() == 0


def test_texts_are_padded_to_the_length_of_the_published_model() -> None:
    reader = tokenizer.tokenizer_from_bytes(bundle.read("builtin").files["tokenizer.json"])
    ids = plain_model.tokenize(reader, ["Blue shirt", ""], ["", ""])
    assert ids.shape == (2, tokenizer.MAX_TOKENS)
    assert ids[0].any() and not ids[1].any()


@pytest.mark.parametrize("udf", sorted(plain_job.UDFS))
def test_both_udfs_give_the_results_of_the_reference_engine(udf: str, spark: SparkSession, tmp_path: Path) -> None:
    products = catalogs.prepare(tmp_path, ROWS, None)
    model = bundle.read("builtin")
    score = plain_job.UDFS[udf](spark.sparkContext.broadcast(plain_model.parts(model)))
    frame = spark.read.parquet(str(products.folder / "bytes")).coalesce(1)
    scored = {row["product_id"]: row["score"] for row in _scored(frame, score)}
    table = pq.read_table(products.folder / "bytes").to_pylist()
    predict = registry.create("openvino", model, "f32", threads=1)
    reader = tokenizer.tokenizer_from_bytes(model.files["tokenizer.json"])
    for row in table:
        pixels = decode.decode(row["image"], model.manifest.image.size).pixels
        assert pixels is not None
        ids = tokenizer.encode(reader, [tokenizer.product_text(row["title"], row["description"])])
        expected = predict(pixels[None], np.ones((1, 1), np.float32), ids)
        found = scored[row["product_id"]]
        assert found["category"] == model.manifest.labels[int(expected.logits[0, :-1].argmax())]
        # The pixels differ a little: ours are decoded smaller.
        assert np.dot(found["embedding"], expected.embedding[0]) > 0.95
        assert 0 < found["confidence"] <= 1


def _scored(frame, score):  # type: ignore[no-untyped-def]
    return frame.select("product_id", score("title", "description", "image").alias("score")).collect()


def test_its_stages_are_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    products = catalogs.prepare(tmp_path, 4, None)
    seconds = stages.measure("plain", products.folder / "bytes", "builtin", 4, REPOSITORY)
    assert seconds.keys() == {"fetch", "decode", "tokenize", "predict", "assemble"}
    assert seconds["predict"] > seconds["tokenize"] > 0 and seconds["decode"] > 0
