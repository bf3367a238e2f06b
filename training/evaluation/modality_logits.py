"""A model's logits for labelled rows, with both inputs and with either alone, and figures computed from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score

from fashion_udf.model.architecture import BLANK_SIZE
from fashion_udf.model.engines.prediction import Predict
from fashion_udf.model.manifest import Thresholds
from fashion_udf.schema import Modality

from . import measures

MODALITIES = (Modality.BOTH, Modality.IMAGE, Modality.TEXT)
_FIGURES = ("rows", "accuracy", "precision", "recall", "f1")
_CALIBRATED_FIGURES = ("macro_f1", "top3", "ece", "auto_share", "auto_precision")


@dataclass(frozen=True)
class ModalityLogits:
    """The labels of n rows, and the logits that a model gives them."""

    labels: NDArray[np.int32]  # [n]; -1: unknown category
    logits: Mapping[Modality, NDArray[np.float32]]  # [n, K] each
    embedding: NDArray[np.float32] | None = None  # [n, 256], unit length, with both inputs

    def select(self, kept: NDArray[np.bool_]) -> ModalityLogits:
        """Return the rows where `kept` bool[n] is true."""
        embedding = None if self.embedding is None else self.embedding[kept]
        return ModalityLogits(
            self.labels[kept], {name: logits[kept] for name, logits in self.logits.items()}, embedding
        )


@dataclass(frozen=True)
class Calibration:
    """Per modality (`both`, `image`, `text`): probabilities = softmax(logits / temperature), and thresholds on them."""

    temperature: Mapping[str, float]
    thresholds: Mapping[str, Thresholds]

    def as_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        thresholds = {name: limits.model_dump() for name, limits in self.thresholds.items()}
        return {"temperature": dict(self.temperature), "thresholds": thresholds}


def modality_logits(
    predict: Predict, batches: Iterable[Any], modalities: Sequence[Modality] = MODALITIES
) -> ModalityLogits:
    """Run `predict` on every batch with both inputs, with the photo alone and with the text alone.

    Args:
        predict: the model.
        batches: inputs, labels and attributes, as `training.data.labelled_rows.batches` gives them.
        modalities: which of the three to run; there are embeddings if `both` is one of these.
    """
    labels: list[NDArray[np.int32]] = []
    embedding: list[NDArray[np.float32]] = []
    logits: dict[Modality, list[NDArray[np.float32]]] = {modality: [] for modality in modalities}
    for inputs, label, _ in batches:
        pixels, present, token_ids = (np.asarray(inputs[name]) for name in ("image", "image_present", "token_ids"))
        no_photo = np.full((len(pixels), BLANK_SIZE, BLANK_SIZE, 3), 255, np.uint8)
        inputs_of = {
            Modality.BOTH: (pixels, present, token_ids),
            Modality.IMAGE: (pixels, present, np.zeros((len(pixels), 1), np.int32)),
            Modality.TEXT: (no_photo, np.zeros_like(present), token_ids),
        }
        for modality in modalities:
            prediction = predict(*inputs_of[modality])
            logits[modality].append(prediction.logits)
            if modality is Modality.BOTH:
                embedding.append(prediction.embedding)
        labels.append(np.asarray(label))
    return ModalityLogits(
        np.concatenate(labels),
        {name: np.concatenate(parts) for name, parts in logits.items()},
        np.concatenate(embedding) if embedding else None,
    )


def accuracies(outcome: ModalityLogits) -> dict[str, float]:
    """Return the share of rows whose best category is the label, per modality."""
    return {
        modality.value: float(accuracy_score(outcome.labels, logits.argmax(axis=1)))
        for modality, logits in outcome.logits.items()
    }


def metrics(
    outcome: ModalityLogits, minimum: int = 1, calibration: Calibration | None = None
) -> dict[str, dict[str, float]]:
    """Return accuracy and weighted precision, recall and F1 per modality; with a calibration, five more figures.

    Those are macro F1, top-3 accuracy, the expected calibration error (ece), the share of rows that are `auto`, and the
    precision of these (absent where no row is `auto`).

    Args:
        outcome: logits and labels.
        minimum: leave out rows whose category has fewer rows than this in `outcome`.
        calibration: temperatures and thresholds.
    """
    counts = np.bincount(outcome.labels[outcome.labels >= 0], minlength=1)
    kept = outcome.select((outcome.labels >= 0) & (counts[outcome.labels] >= minimum))
    table = {}
    for modality, logits in kept.logits.items():
        if calibration is None:
            row, names = measures.classification(kept.labels, logits), [*_FIGURES]
        else:
            temperature, auto = calibration.temperature[modality], calibration.thresholds[modality].auto
            row = measures.calibrated_classification(kept.labels, logits, temperature, auto)
            names = [*_FIGURES, *_CALIBRATED_FIGURES]
        table[modality.value] = {name: row[name] for name in names if name in row}
    return table
