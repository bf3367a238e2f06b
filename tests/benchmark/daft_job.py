"""The same engine in Daft, as its user would write it: photos decoded in full, one model per process.

    python -m tests.benchmark.daft_job --mode openvino-int8 --cores 2 --catalog DIR --output DIR

Prints the seconds from the start of the query, its processes and their models included, to the last file.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np
import pyarrow as pa

from fashion_udf.model import bundle, tokenizer
from fashion_udf.model.engines import registry
from fashion_udf.model.engines.prediction import calibrated
from fashion_udf.schema import Modality
from tests.benchmark import plain_model


class Scorer:
    """Tokenizer and engine, loaded once per process."""

    def __init__(self, reference: str, mode: str) -> None:
        """Load the model; `mode` is an engine and a precision: "openvino-int8"."""
        engine, precision = mode.split("-")
        self._model = bundle.read(reference)
        self._tokenizer = tokenizer.tokenizer_from_bytes(self._model.files["tokenizer.json"])
        self._temperature = self._model.manifest.calibration[precision][Modality.BOTH.value].category.temperature
        self._predict = registry.create(engine, self._model, precision, threads=1)

    def score(self, titles: list[str], descriptions: list[str], photos: list[bytes]) -> pa.RecordBatch:
        """Return category, confidence and embedding of at most a few dozen rows."""
        pixels = np.stack([plain_model.decode(photo, self._model.manifest.image.size) for photo in photos])
        texts = [tokenizer.product_text(*pair) for pair in zip(titles, descriptions, strict=True)]
        predicted = self._predict(
            pixels, np.ones((len(photos), 1), np.float32), tokenizer.encode(self._tokenizer, texts)
        )
        probabilities = calibrated(predicted.logits, self._temperature)[:, :-1]  # the last one is of another kind
        columns = plain_model.results(self._model.manifest.labels, predicted.embedding, probabilities)
        embedding = pa.array(list(columns["embedding"]), pa.list_(pa.float32()))
        return pa.RecordBatch.from_pydict({**columns, "embedding": embedding})


def main() -> None:
    """Score a catalog of photos as bytes, and write one row for each product."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", required=True, help="an engine and a precision")
    parser.add_argument("--cores", type=int, required=True)
    parser.add_argument("--catalog", required=True)
    parser.add_argument("--bundle", default="builtin")
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    query = _query(arguments)
    start = time.monotonic()
    query.write_parquet(arguments.output)
    sys.stdout.write(f"{time.monotonic() - start}\n")


def _query(arguments: argparse.Namespace) -> Any:
    import daft

    fields = {"category": daft.DataType.string(), "confidence": daft.DataType.float32()}
    fields["embedding"] = daft.DataType.list(daft.DataType.float32())

    @daft.cls(max_concurrency=arguments.cores, use_process=True)
    class Score:
        def __init__(self, reference: str, mode: str) -> None:
            from tests.benchmark import daft_job

            self._scorer = daft_job.Scorer(reference, mode)

        @daft.method.batch(return_dtype=daft.DataType.struct(fields), batch_size=plain_model.BATCH_ROWS)
        def score(self, *columns: Any) -> pa.Array:
            return self._scorer.score(*(column.to_pylist() for column in columns)).to_struct_array()

    products = daft.read_parquet(f"{arguments.catalog}/*.parquet")
    score = Score(arguments.bundle, arguments.mode).score
    scored = products.select("product_id", score(*(products[name] for name in ("title", "description", "image"))))
    score_column = daft.col(scored.column_names[1])
    return scored.select("product_id", *(score_column[name].alias(name) for name in fields))


if __name__ == "__main__":
    main()
