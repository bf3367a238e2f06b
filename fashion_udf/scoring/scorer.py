"""Score a batch of catalog rows, without Spark: fetch, decode, tokenize, predict, interpret.

A bad photo or an empty title gives its row a status. Only a failing engine raises an error.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fashion_udf.model import tokenizer
from fashion_udf.model.architecture import BLANK_SIZE
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines.prediction import Predict, Prediction
from fashion_udf.photos import encoded, fetch
from fashion_udf.photos.decode import Decoded
from fashion_udf.photos.decode import decode as decode_photo
from fashion_udf.photos.photo import Remote
from fashion_udf.schema import SCORE, Modality, Status
from fashion_udf.scoring.answers import Answers
from fashion_udf.scoring.batches import Batch, Row, rows
from fashion_udf.scoring.prefetch import prefetch

Decode = Callable[[bytes, int, int, int], Decoded]


@dataclass(frozen=True)
class Settings:
    """Settings of scoring. They are broadcast to every worker with the bundle."""

    engine: str
    precision: str
    batch_size: int
    top_k: int
    photo: Literal["bytes", "uri", "none"]  # what the photo column holds
    image_roots: tuple[str, ...]
    max_image_bytes: int
    max_image_pixels: int
    fetch_threads: int = 8  # see `Limits` in `config`
    remote: Remote = Remote()  # settings of remote photos


@dataclass(frozen=True)
class _Photo:
    """A fetched and decoded photo, or the reason why there is none."""

    status: Status
    error: str | None
    identity: str | None
    sha256: str | None
    validator: str | None = None
    unchanged: bool = False  # the bytes have the `known_sha256`, so the photo was not decoded


_Ready: TypeAlias = "tuple[_Photo, NDArray[np.uint8] | None]"

_NO_PHOTO = _Photo(Status.IMAGE_NONE, None, None, None)


class Scorer:
    """The model, ready to score. A Python worker builds it once and uses it for all of its tasks."""

    def __init__(
        self,
        bundle: Bundle,
        settings: Settings,
        predict: Predict,
        decode: Decode = decode_photo,
        threads: int = 0,
        decoders: int = 1,
    ) -> None:
        """Set the parts of scoring.

        Args:
            bundle: labels, tokenizer, calibration and taxonomy.
            settings: settings of scoring.
            predict: the bundle's model in an engine.
            decode: `photos.decode.decode`, or the same in the sandbox.
            threads: threads that fetch and decode the next photos while the engine works. 0 means no threads.
            decoders: maximum of threads that decode at a time: each takes a core, and 1 GB for a large photo.
        """
        self._settings = settings
        self._predict = predict
        self._decode = decode
        self._threads = threads
        self._decoding = threading.Semaphore(decoders)
        self._manifest = bundle.manifest
        self._answers = Answers(bundle, settings.precision, settings.top_k)
        self._tokenizer = tokenizer.tokenizer_from_bytes(bundle.files["tokenizer.json"])
        self._letters = tokenizer.tokens_with_letters(self._tokenizer)
        size = bundle.manifest.image.size
        self._pixels = np.empty((settings.batch_size, size, size, 3), np.uint8)  # the pixels of one call of the engine

    def score(
        self,
        titles: Sequence[str | None],
        descriptions: Sequence[str | None],
        photos: Iterable[bytes | str | None],
        known_sha256: Sequence[str | None] | None = None,
        known_validator: Sequence[str | None] | None = None,
    ) -> pd.DataFrame:
        """Score one batch, given by the fields of `Batch`; see `scores`."""
        batch = Batch(titles, descriptions, photos, known_sha256, known_validator)
        with closing(self.scores([batch])) as found:
            return next(found)

    def scores(self, batches: Iterable[Batch]) -> Generator[pd.DataFrame, None, None]:
        """Score batches. Each result has the columns of `SCORE`, with one row for each row of its batch, in its order.

        With threads, the next batch is taken, and its first photos are fetched, while the engine works on the last rows
        of a batch. For tuples and memory views, see `Answers.columns`.
        """
        # Photos of a call of the engine, and those that are fetched meanwhile.
        ahead = self._settings.batch_size + 2 * self._threads
        with closing(prefetch(self._ready, rows(batches), self._threads, ahead)) as ready:
            for batch in ready:  # which its rows follow
                yield self._scores_of(batch, islice(ready, len(batch.titles)))

    def _ready(self, item: Batch | Row) -> Any:
        return item if isinstance(item, Batch) else self._photo(item)

    def _scores_of(self, batch: Batch, photos: Iterable[_Ready]) -> pd.DataFrame:
        texts = [tokenizer.product_text(*pair) for pair in zip(batch.titles, batch.descriptions, strict=True)]
        token_ids = tokenizer.encode(self._tokenizer, texts)  # int32[n, t]
        has_text = (token_ids != 0).any(axis=1)
        photo_rows, outputs = self._predictions(photos, token_ids, has_text)
        has_photo = np.asarray([photo.status is Status.OK for photo in photo_rows], bool)
        modalities = [_MODALITIES[2 * photo + words] for photo, words in zip(has_photo, has_text, strict=True)]
        scored = _all_finite(outputs)
        unchanged = np.asarray([photo.unchanged for photo in photo_rows], bool)
        accepted = scored | unchanged | ~(has_photo | has_text)
        columns = self._answers.columns(outputs, modalities, scored)
        columns["modality"] = modalities
        facts = zip(photo_rows, has_text.tolist(), accepted.tolist(), strict=True)
        columns["status"] = [_status(*fact).value for fact in facts]
        columns["error"] = [photo.error for photo in photo_rows]
        columns["text_unreadable"] = tokenizer.is_unreadable(token_ids, self._letters).tolist()
        columns["image_identity"] = [photo.identity for photo in photo_rows]
        columns["image_sha256"] = [photo.sha256 for photo in photo_rows]
        columns["image_validator"] = [photo.validator for photo in photo_rows]
        columns["unchanged"] = unchanged.tolist()
        return pd.DataFrame({name: pd.Series(columns[name], dtype=object) for name in SCORE.names})

    def _predictions(
        self,
        photos: Iterable[_Ready],
        token_ids: NDArray[np.int32],
        has_text: NDArray[np.bool_],
    ) -> tuple[list[_Photo], Prediction]:
        """Run the engine on full batches: first rows with a photo, then rows with only a text. Other rows have NaN."""
        photo_rows: list[_Photo] = []
        widths = (self._manifest.embedding_size, len(self._manifest.labels) + 1, self._manifest.attribute_values)
        outputs = Prediction(*(np.full((len(has_text), width), np.nan, np.float32) for width in widths))

        def predict(rows: Sequence[int], pixels: NDArray[np.uint8], present: float) -> None:
            ids = token_ids[rows]
            # Columns that are padding in every row only cost time in the LSTM.
            ids = ids[:, : max(1, int((ids != 0).sum(axis=1).max()))]
            prediction = self._predict(pixels, np.full((len(rows), 1), present, np.float32), np.ascontiguousarray(ids))
            outputs.embedding[rows], outputs.logits[rows] = prediction.embedding, prediction.logits
            outputs.attributes[rows] = prediction.attributes

        step, waiting, words_only = self._settings.batch_size, list[int](), list[int]()
        for row, (photo, pixels) in enumerate(photos):
            photo_rows.append(photo)
            if pixels is not None:
                self._pixels[len(waiting)] = pixels
                waiting.append(row)
            elif has_text[row] and not photo.unchanged:
                words_only.append(row)
            if len(waiting) == step:
                predict(waiting, self._pixels, 1.0)
                waiting = []
        if waiting:
            predict(waiting, self._pixels[: len(waiting)], 1.0)
        for at in range(0, len(words_only), step):
            rows = words_only[at : at + step]
            predict(rows, np.full((len(rows), BLANK_SIZE, BLANK_SIZE, 3), 255, np.uint8), 0.0)
        return photo_rows, outputs

    def _photo(self, item: Row) -> _Ready:
        photo, (known_sha256, known_validator) = item
        if photo is None or self._settings.photo == "none":
            return _NO_PHOTO, None
        if isinstance(photo, str):
            settings = self._settings
            # Without the known bytes, an answer that nothing changed would leave the row without a photo.
            validator = None if known_sha256 is None else known_validator
            fetched = fetch.read(photo, settings.image_roots, settings.max_image_bytes, settings.remote, validator)
            if fetched.unchanged:
                same = _Photo(Status.OK, None, fetched.identity, known_sha256, fetched.validator, unchanged=True)
                return same, None
            if fetched.data is None:
                return _Photo(fetched.status, fetched.error, fetched.identity, None), None
            data, identity, validator = fetched.data, fetched.identity, fetched.validator
            sha256 = hashlib.sha256(data).hexdigest()
        else:
            cell, validator = bytes(photo), None
            data = encoded.photo_bytes(cell)
            sha256 = hashlib.sha256(data).hexdigest()
            identity = sha256 if data is cell else hashlib.sha256(cell).hexdigest()
            if cell and encoded.is_nothing(cell):  # an empty cell counts as a damaged photo instead
                return _Photo(Status.IMAGE_NONE, None, identity, None), None
        if sha256 == known_sha256:
            return _Photo(Status.OK, None, identity, sha256, validator, unchanged=True), None
        size = self._manifest.image.size
        with self._decoding:
            decoded = self._decode(data, size, self._settings.max_image_bytes, self._settings.max_image_pixels)
        return _Photo(decoded.status, decoded.error, identity, sha256, validator), decoded.pixels


#: Modality by 2 * (has a photo) + (has a text).
_MODALITIES = tuple(kind.value for kind in (Modality.NONE, Modality.TEXT, Modality.IMAGE, Modality.BOTH))


def _all_finite(outputs: Prediction) -> NDArray[np.bool_]:
    """Return bool[n]: whether all outputs of a row are finite."""
    arrays = np.column_stack([outputs.embedding, outputs.logits, outputs.attributes])
    return np.asarray(np.isfinite(arrays).all(axis=1), bool)


def _status(photo: _Photo, has_text: bool, engine_accepted: bool) -> Status:
    if not engine_accepted:
        return Status.NOT_SCORED
    if photo.status is not Status.OK:
        return photo.status
    return Status.OK if has_text else Status.TEXT_MISSING
