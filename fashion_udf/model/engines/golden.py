"""Golden rows: inputs with known outputs, which every engine runs before it scores anything.

Golden rows pass through the decoder and the tokenizer, as catalog rows do. So a host whose decoder, tokenizer or engine
computes differently is detected before it scores a product. Each precision has its own expected outputs: for f32 those
of Keras, for bf16 and int8 those of the engine at export. CPUs with different int8 instructions differ much less from
each other than int8 from f32. So this comparison detects a faulty kernel that a comparison with f32 would not.
"""

from __future__ import annotations

import io
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fashion_udf.errors import BundleError, EngineError
from fashion_udf.model import tokenizer
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines.prediction import Predict, Prediction
from fashion_udf.model.interpretation import Interpretation, interpret
from fashion_udf.model.manifest import REFERENCE, Manifest
from fashion_udf.photos import decode
from fashion_udf.schema import Modality

#: Maximum difference of a calibrated probability or an embedding component in f32, at export and on a host.
F32_TOLERANCE = 1e-3
#: Maximum difference of bf16 and int8 from f32 at export.
REDUCED_LIMIT = 0.25
#: On a host, bf16 and int8 may differ from their own expected outputs by this share of their difference from f32.
_HOST_SHARE = 0.25
_REDUCED_FLOOR = 0.003  # the minimum that is allowed, for the rounding of another CPU
START_ROWS = 8  # rows that run when an engine starts; they hold every modality

SCHEMA = pa.schema(
    [
        pa.field("precision", pa.string(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("image", pa.binary()),  # PNG of the model's size: lossless, and not resized
        pa.field("category", pa.string(), nullable=False),
        pa.field("embedding", pa.list_(pa.float32()), nullable=False),
        pa.field("probabilities", pa.list_(pa.float32()), nullable=False),  # [K + 1], calibrated as f32
        pa.field("attributes", pa.list_(pa.float32()), nullable=False),  # [V], probabilities calibrated as f32
    ]
)


@dataclass(frozen=True)
class Inputs:
    """Rows as inputs of the model (see `Predict`)."""

    pixels: NDArray[np.uint8]
    image_present: NDArray[np.float32]
    token_ids: NDArray[np.int32]


@dataclass(frozen=True)
class Differences:
    """Differences of a prediction from the expected one, by row."""

    largest: NDArray[np.float64]  # [n], of probabilities and embedding components; NaN if one is NaN
    same_top1: NDArray[np.bool_]  # [n]


def read(bundle: Bundle, precision: str = REFERENCE) -> pa.Table:
    """Read the bundle's golden rows of one precision.

    Raises:
        BundleError: the file is no Parquet file with the columns of `SCHEMA`, or has fewer rows than `START_ROWS`.
    """
    try:
        table = pq.read_table(io.BytesIO(bundle.files["golden.parquet"]))
    except (OSError, pa.ArrowInvalid) as error:
        raise BundleError(f"Expected golden.parquet to be a Parquet file. Received: {error}") from error
    own = table.filter(pc.field("precision") == precision) if table.schema.equals(SCHEMA) else table.slice(0, 0)
    if len(own) < START_ROWS:
        raise BundleError(
            f"Expected golden.parquet to hold at least {START_ROWS} rows of {precision} with {SCHEMA.names}. "
            f"Received: {len(own)} of these, and {table.schema.names}. Export the bundle again"
        )
    return own


def prepare(
    texts: Sequence[str | None], pictures: Sequence[bytes | None], tokenizer_json: bytes, manifest: Manifest
) -> Inputs:
    """Decode and tokenize rows as scoring does. A row without a photo gets white pixels, which the model ignores.

    Raises:
        BundleError: the model was trained with another preparation than this version of the library has.
        EngineError: a golden photo does not decode on this host.
    """
    reader = tokenizer.tokenizer_from_bytes(tokenizer_json)
    here = (decode.PREPROCESSING_VERSION, tokenizer.MAX_TOKENS)
    trained = (manifest.image.preprocessing_version, manifest.text.max_tokens)
    if here != trained:
        raise BundleError(
            f"Expected a model with preprocessing_version and max_tokens {here}. Received: {trained}. "
            "Use the version of fashion-udf that trained it, or train it again"
        )
    if reader.get_vocab_size() > manifest.text.vocabulary_size:
        # For an id after the embedding's last row, some engines would read unrelated memory.
        raise BundleError(
            f"Expected tokenizer.json with at most {manifest.text.vocabulary_size} ids. "
            f"Received: {reader.get_vocab_size()}. Export the bundle again"
        )
    size = manifest.image.size
    pixels = np.full((len(pictures), size, size, 3), 255, np.uint8)
    present = np.zeros((len(pictures), 1), np.float32)
    for row, picture in enumerate(pictures):
        if picture is None:
            continue
        decoded = decode.decode(picture, size)
        if decoded.pixels is None:
            raise EngineError(f"Expected golden photo {row} to decode. Received: {decoded.status} ({decoded.error})")
        pixels[row], present[row] = decoded.pixels, 1.0
    return Inputs(pixels, present, tokenizer.encode(reader, [words or "" for words in texts]))


def interpreted(prediction: Prediction, inputs: Inputs, manifest: Manifest) -> Interpretation:
    """Interpret a prediction, with the calibration of f32 for every precision. Each category is its own family."""
    modalities = [
        _modality(bool(photo), bool(words.any())).value
        for photo, words in zip(inputs.image_present[:, 0], inputs.token_ids, strict=True)
    ]
    parents = np.arange(len(manifest.labels))
    return interpret(prediction, modalities, manifest.calibration[REFERENCE], manifest.attributes, parents)


def to_parquet(
    texts: Sequence[str | None],
    pictures: Sequence[bytes | None],
    predictions: Mapping[str, Prediction],
    inputs: Inputs,
    manifest: Manifest,
) -> bytes:
    """Return the file `golden.parquet`: the inputs of `prepare`, and the expected outputs by precision."""
    parts = []
    for precision, prediction in predictions.items():
        meaning = interpreted(prediction, inputs, manifest)
        columns = {
            "precision": [precision] * len(texts),
            "text": texts,
            "image": pictures,
            "category": [manifest.labels[best] for best in meaning.category.choice],
            "embedding": list(prediction.embedding),
            "probabilities": list(meaning.probabilities),
            "attributes": list(meaning.attribute_probabilities),
        }
        parts.append(pa.table(columns, schema=SCHEMA))
    file = io.BytesIO()
    pq.write_table(pa.concat_tables(parts).combine_chunks(), file, compression="zstd")
    return file.getvalue()


def differences(predict: Predict, bundle: Bundle, rows: int | None = None, precision: str = REFERENCE) -> Differences:
    """Run the first `rows` golden rows (None: all) and compare with the expected outputs of a precision.

    Raises:
        BundleError: the golden rows belong to a model of another size.
    """
    table = read(bundle, precision).slice(0, rows)
    texts, pictures = table["text"].to_pylist(), table["image"].to_pylist()
    inputs = prepare(texts, pictures, bundle.files["tokenizer.json"], bundle.manifest)
    prediction = predict(inputs.pixels, inputs.image_present, inputs.token_ids)
    meaning = interpreted(prediction, inputs, bundle.manifest)
    computed = np.column_stack([meaning.probabilities, prediction.embedding, meaning.attribute_probabilities])
    expected = np.column_stack(
        [np.asarray(table[name].to_pylist(), np.float32) for name in ("probabilities", "embedding", "attributes")]
    )
    if computed.shape != expected.shape:
        raise BundleError(
            f"Expected golden rows of {computed.shape[1]} probabilities and embedding components, as the model has. "
            f"Received: {expected.shape[1]}. Export the bundle again"
        )
    top1 = [bundle.manifest.labels.index(category) for category in table["category"].to_pylist()]
    largest = np.abs(computed.astype(np.float64) - expected).max(axis=1)
    return Differences(largest, meaning.category.choice == top1)


def tolerance(manifest: Manifest, engine: str, precision: str) -> float:
    """Return the maximum difference of a host's values from the expected ones of its precision.

    CPUs with other int8 or bf16 instructions round differently, but by less than the precision itself.

    Raises:
        BundleError: the manifest has no difference for the precision, or one above `REDUCED_LIMIT`.
    """
    if precision == REFERENCE:
        return F32_TOLERANCE
    facts = manifest.parity.get(f"{engine} {precision}")
    if facts is None or facts.largest_difference is None or facts.largest_difference > REDUCED_LIMIT:
        raise BundleError(
            f"Expected the manifest to state for {engine} {precision} a parity with a largest_difference of at most "
            f"{REDUCED_LIMIT}. Received: {facts and facts.largest_difference}. Export the bundle again"
        )
    return max(_REDUCED_FLOOR, _HOST_SHARE * facts.largest_difference)


def require(predict: Predict, bundle: Bundle, engine: str, precision: str) -> None:
    """Run the golden rows on this host.

    Raises:
        EngineError: a value differs by more than `tolerance`, or a category differs. The message names host and CPU.
    """
    allowed = tolerance(bundle.manifest, engine, precision)
    outcome = differences(predict, bundle, START_ROWS, precision)
    # The comparison is written so that NaN fails.
    if not (outcome.same_top1.all() and (outcome.largest <= allowed).all()):
        raise EngineError(
            f"Expected {engine} {precision} to reproduce the golden rows of model {bundle.model_version[:12]} within "
            f"{allowed:.3g}, and their categories. Received: a largest difference of {np.max(outcome.largest):.3g} and "
            f"{int((~outcome.same_top1).sum())} of {len(outcome.largest)} other categories on host {platform.node()}, "
            f"CPU {_cpu_model()}. Keep this host out of the job, or choose another engine or precision"
        )


def _modality(photo: bool, words: bool) -> Modality:
    if photo:
        return Modality.BOTH if words else Modality.IMAGE
    return Modality.TEXT


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
