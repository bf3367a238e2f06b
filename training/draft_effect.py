"""Measure the effect of cheaper decoding of large JPEGs: `python -m training.draft_effect --bundle builtin --data DIR`.

The table decides the value of `fashion_udf.photos.resize.DRAFT_MARGIN`. Each photo of a split is enlarged to sizes of
shops, encoded as a JPEG of about 130 KB, and decoded at full size and with several margins. The table has the CPU time,
the difference of pixels from the full decode (in levels, 0 to 255), and the changes of the model's answers. For
comparison, the same photo is encoded as a JPEG of quality 75, as image servers do, and decoded at full size.

`--filters` compares the filters that shrink the decoded photo with the filter in use, at the margin in use: each filter
alone, and after an average over whole blocks of pixels ("gap 1", which differs only if twice the size was decoded).
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from fashion_udf import cli
from fashion_udf.model import tokenizer
from fashion_udf.model.engines.prediction import calibrated
from fashion_udf.model.manifest import REFERENCE, Manifest
from fashion_udf.photos import decode, resize
from fashion_udf.progress import progress
from fashion_udf.schema import Modality

from .data import dataset
from .evaluation import evaluated_model
from .evaluation.evaluated_model import EvaluatedModel
from .evaluation.table import Table

FULL, AGAIN = "full", "full, quality 75"


@dataclass(frozen=True)
class Decode:
    """How a photo is decoded to a square."""

    margin: float | None  # for `fashion_udf.photos.resize.draft`; None means a full decode
    resample: Image.Resampling = resize.FILTER
    reducing_gap: float | None = None  # for `fashion_udf.photos.resize.square`


#: The decodes that are compared with the first one.
MARGINS: Mapping[str, Decode] = {
    FULL: Decode(None),
    **{f"margin {margin:g}": Decode(margin) for margin in (2.0, 1.5, 1.0)},
    AGAIN: Decode(None),
}
#: The filters that are compared with `--filters`, the one in use first.
FILTERS: Mapping[str, Decode] = {
    f"{resample.name.lower()}{ending}": Decode(resize.DRAFT_MARGIN, resample, gap)
    for resample in (resize.FILTER, Image.Resampling.BILINEAR, Image.Resampling.HAMMING, Image.Resampling.BOX)
    for ending, gap in (("", None), (", gap 1", 1.0))
}
#: Width, height and grain. Enlarging gives no details of one pixel, so one form adds noise instead.
FORMS: Mapping[str, tuple[int, int, float]] = {
    "1080 x 1440": (1080, 1440, 0.0),
    "1440 x 1080": (1440, 1080, 0.0),
    "1200 x 1200": (1200, 1200, 0.0),
    "1079 x 1437, grain": (1079, 1437, 2.0),
}
_QUALITY = {0.0: 94, 2.0: 85}  # by grain, for about 130 KB
_MODALITIES = (Modality.BOTH, Modality.IMAGE)
_BATCH = 32  # photos


@dataclass(frozen=True)
class Effect:
    """Time and pixels of one decode of n photos, and the model's logits for these pixels."""

    milliseconds: NDArray[np.float64]  # [n], processor time of the decode
    difference: NDArray[np.float64]  # [n, 3]: mean, largest and mean squared difference from the first decode
    labels: NDArray[np.int32]  # [n]; -1 for a category that the model does not know
    logits: Mapping[Modality, NDArray[np.float32]]  # [n, K + 1]


def main() -> None:
    """Parse arguments, measure, and print a table for each form and one for all forms."""
    parser = cli.ArgumentParser(
        prog="python -m training.draft_effect",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bundle", default="builtin", help="builtin (default), PATH or PATH@<model_version>")
    parser.add_argument("--data", required=True, type=Path, help="a training set from fashion-udf training-set")
    parser.add_argument("--split", default="test", help="the photos to measure with (default: test)")
    parser.add_argument("--rows", type=int, default=1000, help="photos to measure with, at most (default: 1000)")
    parser.add_argument("--filters", action="store_true", help="compare filters, and not margins")
    arguments = parser.parse_args()
    model = evaluated_model.read(arguments.bundle, arguments.data, "openvino", "f32")
    rows = photographed(arguments.data / arguments.split, arguments.rows)
    measured = []
    for form in FORMS:
        measured.append(measure(model, rows, form, FILTERS if arguments.filters else MARGINS))
        sys.stdout.write(f"{form}\n\n{table(measured[-1:], model.manifest).as_text()}\n")
        sys.stdout.flush()  # the next form takes minutes
    sys.stdout.write(f"all\n\n{table(measured, model.manifest).as_text()}")


def photographed(folder: Path, limit: int) -> pa.Table:
    """Return at most `limit` first rows of a split, without rows whose photo is missing or broken."""
    files = dataset.require_plain_parquet(folder)
    rows = pq.read_table(files, columns=dataset.TRAINING_SET.names)[:limit]
    whole = [decode.decode(photo).pixels is not None for photo in rows["image"].to_pylist()]
    return rows.filter(pa.array(whole, pa.bool_()))


def measure(
    model: EvaluatedModel, rows: pa.Table, form: str, decodes: Mapping[str, Decode] = MARGINS
) -> dict[str, Effect]:
    """Measure decodes on photos enlarged to one of `FORMS`.

    Args:
        model: the model.
        rows: rows with the columns of `TRAINING_SET`, each with a photo.
        form: a key of `FORMS`.
        decodes: the decodes to compare with the first one.
    """
    effects: dict[str, Effect] = {}
    first = np.empty(0, np.uint8)
    photos = [enlarged(photo, form) for photo in rows["image"].to_pylist()]
    with progress(len(decodes) * len(rows), label=f"{form}: measured") as shown:
        for done, (name, how) in enumerate(decodes.items(), start=1):
            squares, milliseconds = _timed(photos, name, how, model.manifest.image.size)
            first = first if effects else squares
            difference = np.array([_difference(*pair) for pair in zip([*squares], [*first], strict=True)])
            effects[name] = Effect(milliseconds, difference, *_answers(model, rows, squares))
            shown.update(done * len(rows))
    return effects


def enlarged(photo: bytes, form: str) -> bytes:
    """Return a photo in one of `FORMS`, as a JPEG of about 130 KB."""
    width, height, grain = FORMS[form]
    with Image.open(io.BytesIO(photo)) as image:
        large = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    if grain:
        noise = np.random.default_rng(len(photo)).normal(0.0, grain, (height, width, 1))
        large = Image.fromarray(np.clip(np.asarray(large) + noise, 0, 255).astype(np.uint8))
    return _jpeg(large, _QUALITY[grain])


def decoded(data: bytes, size: int, how: Decode) -> NDArray[np.uint8]:
    """Decode an upright JPEG like `photos.decode.decode`, with the settings `how`."""
    with JpegImagePlugin.JpegImageFile(io.BytesIO(data)) as image:
        extent = None if how.margin is None else resize.draft(image, size, how.margin)
        whole = resize.eight_bit(image)
        return resize.square(whole, size, extent, resample=how.resample, reducing_gap=how.reducing_gap)


def table(forms: Sequence[Mapping[str, Effect]], manifest: Manifest) -> Table:
    """Return the table of one form, or of several forms taken together."""
    asked = [
        f"{figure}, {name.value}" for name in _MODALITIES for figure in ("other top-1", "accuracy", "confidence +-")
    ]
    decodes = forms[0].keys()
    photos = sum(len(next(iter(effects.values())).milliseconds) for effects in forms)
    return Table(
        "What a cheaper decode changes",
        ["decode", "ms", "mean", "worst mean", "max", "PSNR dB", *asked],
        [[name, *_pixel_cells(forms, name), *_model_cells(forms, name, manifest)] for name in decodes],
        f"{photos} photos. ms: median processor time of a photo.",
    )


def _pixel_cells(forms: Sequence[Mapping[str, Effect]], name: str) -> list[str]:
    mean, largest, squared = np.concatenate([effects[name].difference for effects in forms]).T
    milliseconds = np.concatenate([effects[name].milliseconds for effects in forms])
    psnr = f"{10 * np.log10(255**2 / squared.mean()):.1f}" if squared.any() else "-"
    return [f"{np.median(milliseconds):.1f}", f"{mean.mean():.3f}", f"{mean.max():.3f}", f"{largest.max():.0f}", psnr]


def _model_cells(forms: Sequence[Mapping[str, Effect]], name: str, manifest: Manifest) -> list[str]:
    """Return, by modality: rows whose category differs from the first decode's, accuracy, mean change of confidence."""
    cells, first = [], next(iter(forms[0]))
    for modality in _MODALITIES:
        logits, full = (np.concatenate([each[key].logits[modality] for each in forms]) for key in (name, first))
        best, expected = (each[:, :-1].argmax(axis=1) for each in (logits, full))
        labels = np.concatenate([each[name].labels for each in forms])
        temperature = manifest.calibration[REFERENCE][modality.value].category.temperature
        changes = calibrated(logits, temperature) - calibrated(full, temperature)
        confidence = np.abs(np.take_along_axis(changes, expected[:, None], axis=1)).mean()
        cells += [str((best != expected).sum()), f"{(best == labels).mean():.4f}", f"{confidence:.4f}"]
    return cells


def _timed(photos: Sequence[bytes], name: str, how: Decode, size: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Decode photos; return uint8[n, size, size, 3] and the processor time of each in milliseconds."""
    squares, milliseconds = np.empty((len(photos), size, size, 3), np.uint8), np.empty(len(photos))
    for row, photo in enumerate(photos):
        if name == AGAIN:
            with Image.open(io.BytesIO(photo)) as image:
                photo = _jpeg(image, 75)
        start = time.thread_time()
        squares[row] = decoded(photo, size, how)
        milliseconds[row] = 1000 * (time.thread_time() - start)
    return squares, milliseconds


def _difference(square: NDArray[np.uint8], other: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Return the mean, the largest and the mean squared difference of two pictures."""
    difference = np.abs(square.astype(np.int32) - other)
    return float(difference.mean()), float(difference.max()), float(np.square(difference).mean())


def _answers(
    model: EvaluatedModel, rows: pa.Table, squares: NDArray[np.uint8]
) -> tuple[NDArray[np.int32], dict[Modality, NDArray[np.float32]]]:
    """Return the labels of rows, and the logits for these pixels with the rows' texts and without."""
    reader = tokenizer.tokenizer_from_bytes(model.preparation.tokenizer)
    index = {label: position for position, label in enumerate(model.preparation.labels)}
    token_ids = tokenizer.encode(reader, rows["text"].to_pylist())
    logits: dict[Modality, list[NDArray[np.float32]]] = {modality: [] for modality in _MODALITIES}
    for start in range(0, len(rows), _BATCH):
        part = slice(start, start + _BATCH)
        present = np.ones((len(squares[part]), 1), np.float32)
        for modality, words in [(Modality.BOTH, token_ids[part]), (Modality.IMAGE, np.zeros_like(token_ids[part, :1]))]:
            logits[modality].append(model.predict(squares[part], present, words).logits)
    labels = np.asarray([index.get(category, -1) for category in rows["category"].to_pylist()], np.int32)
    return labels, {modality: np.concatenate(parts) for modality, parts in logits.items()}


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


if __name__ == "__main__":
    cli.run(main)
