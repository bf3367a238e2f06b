"""Which engines and precisions a bundle may offer: each is measured, and refused ones keep their figures too.

f32 is compared with the Keras model on the golden rows: values within 1e-3, and the same category on each.

bf16 and int8 are compared with f32 of the same engine on all rows of validation and test. With photo and text, as most
products are scored, at least 99.5 % of the rows must keep their category, and accuracy may fall by 0.3 points at most.
With the photo alone and with the text alone the same figures are measured and stated, but decide nothing: the photo
alone is a model's weakest input, with many rows between two categories. On the golden rows, bf16 and int8 must stay
within `golden.REDUCED_LIMIT`: a host is checked with these rows before it scores, and a larger difference would look
like a broken engine.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import golden, registry
from fashion_udf.model.engines.openvino import has_bf16
from fashion_udf.model.engines.prediction import Predict
from fashion_udf.model.manifest import Agreement, Parity
from fashion_udf.schema import Modality

from ..data import dataset, labelled_rows
from ..evaluation.modality_logits import ModalityLogits, modality_logits

logger = logging.getLogger(__name__)

#: What is measured, f32 first: engine -> precisions.
CANDIDATES = {"openvino": ("f32", "bf16", "int8"), "tensorflow": ("f32",)}
SPLITS = ("validation", "test")
SAME_TOP1 = 0.995  # share of rows, at least
ACCURACY_LOSS = 0.003  # at most
_BATCH = 32  # rows


@dataclass(frozen=True)
class Comparison:
    """Which engines may be offered, and why. Keys of `parity` and `not_measured` are `<engine> <precision>`."""

    offered: dict[str, list[str]] = field(default_factory=dict)  # engine -> precisions
    parity: dict[str, Parity] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)  # -> reason


def compare(candidate: Bundle, data: Path | None) -> Comparison:
    """Measure every candidate.

    Args:
        candidate: has golden rows, and the IR of each precision that can be measured.
        data: a training set with the splits validation and test; without one, f32 alone is measured.
    """
    comparison = Comparison()
    for engine, precisions in CANDIDATES.items():
        reference = None
        for precision in precisions:
            key = f"{engine} {precision}"
            reason = _obstacle(comparison, engine, precision, data)
            if reason:
                logger.info("%s is not measured, so it is not offered: %s", key, reason)
                comparison.not_measured[key] = reason
                continue
            predict = registry.build(engine, candidate, precision, threads=1)
            facts = _on_golden_rows(predict, candidate)
            if data and len(precisions) > 1:
                outcome = _outcome(predict, candidate, data)
                reference = reference or outcome
                if precision != "f32":
                    facts = facts.model_copy(update={"labelled": agreement(reference, outcome)})
            offer = passes(precision, facts)
            logger.info("%s is %s: %s", key, "offered" if offer else "not offered", facts)
            comparison.parity[key] = facts
            if offer:
                comparison.offered.setdefault(engine, []).append(precision)
    return comparison


def agreement(reference: ModalityLogits, reduced: ModalityLogits) -> dict[str, Agreement]:
    """Return, by modality, how the categories of a reduced precision compare with those of f32 on the same rows."""
    counts = {}
    for modality, logits in reduced.logits.items():
        expected, best = reference.logits[modality].argmax(axis=1), logits.argmax(axis=1)
        counts[modality.value] = Agreement(
            rows=len(best),
            same_top1=int((best == expected).sum()),
            correct=int((best == reduced.labels).sum()),
            f32_correct=int((expected == reduced.labels).sum()),
        )
    return counts


def passes(precision: str, facts: Parity) -> bool:
    """Return whether a precision may be offered, by the rules above."""
    difference = math.inf if facts.largest_difference is None else facts.largest_difference
    if precision == "f32":
        return facts.same_top1 == facts.rows and difference <= golden.F32_TOLERANCE
    both = facts.labelled[Modality.BOTH]
    return (
        difference <= golden.REDUCED_LIMIT
        and both.same_top1 >= SAME_TOP1 * both.rows
        and both.f32_correct - both.correct <= ACCURACY_LOSS * both.rows
    )


def _obstacle(comparison: Comparison, engine: str, precision: str, data: Path | None) -> str | None:
    """Return why a precision cannot be measured here, None where it can."""
    if precision == "f32":
        return None
    if data is None:
        return "the export was given no training set"
    if "f32" not in comparison.offered.get(engine, []):
        return f"{engine} f32, which it is compared with, is not offered"
    if precision == "bf16" and not has_bf16():
        return "the CPU of the export has no bf16"
    return None


def _on_golden_rows(predict: Predict, candidate: Bundle) -> Parity:
    outcome = golden.differences(predict, candidate)
    largest = float(outcome.largest.max())
    return Parity(
        rows=len(outcome.largest),
        same_top1=int(outcome.same_top1.sum()),
        largest_difference=largest if math.isfinite(largest) else None,
    )


def _outcome(predict: Predict, candidate: Bundle, data: Path) -> ModalityLogits:
    manifest = candidate.manifest
    preparation = dataset.Preparation(candidate.files["tokenizer.json"], tuple(manifest.labels), manifest.image.size)
    splits = (labelled_rows.batches(data / split, preparation, _BATCH) for split in SPLITS)
    return modality_logits(predict, chain.from_iterable(splits))
