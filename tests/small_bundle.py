"""A complete bundle whose model is a few operations, made with openvino alone and in a second: for whole nights.

Three categories, two attributes and a taxonomy; photos of 64 pixels. Another kind, category and attributes follow from
the mean colour of the photo and from the words of the text, by weights that were drawn.
"""

from __future__ import annotations

import functools
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashion_udf.model import bundle, taxonomy, tokenizer
from fashion_udf.model.engines import golden, openvino, registry
from fashion_udf.model.manifest import OPENVINO_IR, Calibrated, Calibration, Manifest
from fashion_udf.photos.decode import PREPROCESSING_VERSION
from fashion_udf.schema import EMBEDDING_SIZE

LABELS = ("Dresses", "Shirts", "Shoes")
#: The values of each attribute.
ATTRIBUTES = {"gender": ("Men", "Women"), "base_colour": ("Red", "Navy Blue", "Black")}
#: The families that have more than one category.
TAXONOMY = {"Upper garments": ("Dresses", "Shirts")}
IMAGE_SIZE = 64
VOCABULARY_SIZE = 200
_ROWS = 16
_WORDS = ("Red", "Blue", "Men", "Women", "Shirt", "Jeans", "Watch", "Shoes", "Handbag", "Puma", "Hat", "Dress")

_kept = tempfile.TemporaryDirectory(prefix="small-bundle-")


@functools.cache
def directory(*precisions: str) -> Path:
    """Write the bundle on first use, and return its directory; arguments are those of `read`."""
    made = read(*precisions)
    path = Path(_kept.name) / "-".join(["bundle", *precisions])
    bundle.write(path, made.manifest, made.files)
    return path


@functools.cache
def read(*precisions: str) -> bundle.Bundle:
    """Return the bundle as it is read; it offers f32, and `precisions`, whose graph is that of f32."""
    reader = tokenizer.train_tokenizer([f"{one} {other}" for one in _WORDS for other in _WORDS], VOCABULARY_SIZE)
    files = {
        "tokenizer.json": reader,
        "weights.safetensors": b"",  # of another model than the graph: tensorflow is offered, and cannot start
        "taxonomy.yaml": taxonomy.render(TAXONOMY, LABELS),
        "golden.parquet": b"",
        "MODEL_CARD.md": b"# A small model\n",
        "NOTICE": b"Weights that were drawn.\n",
        **_graph(),
    }
    files |= {
        f"{OPENVINO_IR[each]}.{end}": files[f"openvino/model.{end}"] for each in precisions for end in ("xml", "bin")
    }
    drawn = bundle.in_memory(_manifest(["f32", *precisions]), files)
    texts, pictures = zip(*map(_golden_row, range(_ROWS)), strict=True)
    inputs = golden.prepare(texts, pictures, reader, drawn.manifest)
    prediction = registry.build("openvino", drawn, "f32", 1)(inputs.pixels, inputs.image_present, inputs.token_ids)
    predictions = dict.fromkeys(["f32", *precisions], prediction)
    return bundle.in_memory(
        drawn.manifest,
        {**files, "golden.parquet": golden.to_parquet(texts, pictures, predictions, inputs, drawn.manifest)},
    )


def calibration() -> dict[str, Calibration]:
    """Return what its manifest says of each precision, by modality."""

    def calibrated(temperature: float) -> Calibrated:
        return Calibrated(temperature=temperature, auto=0.7, review=0.5)

    return {
        name: Calibration(
            category=calibrated(temperature),
            parent=calibrated(1.25),
            attributes={attribute: calibrated(temperature) for attribute in ATTRIBUTES},
            novelty=0.05,
        )
        for name, temperature in {"both": 1.0, "image": 1.5, "text": 0.8}.items()
    }


def _manifest(precisions: list[str]) -> Manifest:
    facts = {
        "name": "small",
        "labels": list(LABELS),
        "attributes": [{"name": name, "values": list(values)} for name, values in ATTRIBUTES.items()],
        "image": {"size": IMAGE_SIZE, "preprocessing_version": PREPROCESSING_VERSION},
        "text": {"max_tokens": tokenizer.MAX_TOKENS, "vocabulary_size": VOCABULARY_SIZE},
        "engines": {"openvino": precisions, "tensorflow": ["f32"]},
        "calibration": {precision: calibration() for precision in precisions},
        "parity": {
            f"openvino {each}": {"rows": _ROWS, "same_top1": _ROWS, "largest_difference": 0.0} for each in precisions
        },
        "training_data": {"digest": "0" * 64, "counts": {}},
        "library_versions": {},
    }
    return Manifest.model_validate(facts)


def _golden_row(row: int) -> tuple[str | None, bytes | None]:
    text = f"{_WORDS[row % 5]} {_WORDS[row % 12]}" if row % 4 != 2 else None
    if row % 4 == 3:
        return text, None
    file = io.BytesIO()
    Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE), (row * 16, 255 - row * 9, row * 90 % 256)).save(file, "PNG")
    return text, file.getvalue()


def _graph() -> dict[str, bytes]:
    """Return the IR: mean colour and mean of token vectors, through one hidden layer."""
    library = openvino.load_openvino()
    operations, rng = library.opset8, np.random.default_rng(5)

    def weights(rows: int, columns: int, scale: float) -> NDArray[np.float32]:
        return (rng.normal(size=(rows, columns)) * scale).astype(np.float32)

    image = operations.parameter([-1, -1, -1, 3], np.uint8)
    present = operations.parameter([-1, 1], np.float32)
    token_ids = operations.parameter([-1, -1], np.int32)
    colour = operations.reduce_mean(operations.convert(image, "f32"), np.asarray([1, 2]), False)
    photo = operations.multiply(operations.divide(colour, np.float32(255)), present)
    table = weights(VOCABULARY_SIZE, 16, 1.0)
    table[0] = 0  # padding
    vectors = operations.gather(operations.constant(table), token_ids, np.int64(0))
    text = operations.reduce_sum(vectors, np.asarray([1]), False)
    fused = operations.concat([photo, text], 1)
    hidden = operations.tanh(operations.matmul(fused, weights(19, EMBEDDING_SIZE, 0.5), False, False))
    embedding = operations.normalize_l2(hidden, np.asarray([1]), 1e-12, "add")
    outputs = {
        "embedding": embedding,
        "logits": operations.matmul(hidden, weights(EMBEDDING_SIZE, len(LABELS) + 1, 0.25), False, False),
        "attributes": operations.matmul(embedding, weights(EMBEDDING_SIZE, 5, 2.0), False, False),
    }
    return _serialized(library, {"image": image, "image_present": present, "token_ids": token_ids}, outputs)


def _serialized(library: Any, inputs: dict[str, Any], outputs: dict[str, Any]) -> dict[str, bytes]:
    for name, node in {**inputs, **outputs}.items():
        node.output(0).get_tensor().set_names({name})
    graph = library.Model([library.opset8.result(node) for node in outputs.values()], [*inputs.values()], "small")
    for position, operation in enumerate(graph.get_ordered_ops()):  # else the names hold counters of this process
        operation.set_friendly_name(f"{operation.get_type_name()}_{position}")
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "model.xml"
        library.save_model(graph, xml, compress_to_fp16=False)
        return {"openvino/model.xml": xml.read_bytes(), "openvino/model.bin": xml.with_suffix(".bin").read_bytes()}
