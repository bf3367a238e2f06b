"""Decide which engines and precisions a bundle offers. The figures of refused ones are kept too.

f32 is compared with the Keras model on the golden rows: values within 1e-3, and the same category on each row.

bf16 and int8 are compared with f32 of the same engine on all rows of validation and test, in every form of the text.
With photo and text, at least 99.5 % of the rows must keep their category, and accuracy may fall by at most 0.3 points.
The same figures for the photo alone and for the text alone are reported without a limit: by the photo alone, many rows
are between two categories. The share of rows that keep their decision is reported too, each precision with its own
calibration. On the golden rows, bf16 and int8 must stay within `golden.REDUCED_LIMIT`, because these rows check a host
before it scores, and a larger difference would look like a broken engine.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import golden
from fashion_udf.model.engines.prediction import Predict
from fashion_udf.model.manifest import REFERENCE, Agreement, Parity
from fashion_udf.schema import Modality

from ..evaluation import evaluated_model
from ..evaluation.decided import Meaning
from ..evaluation.views import ROBUSTNESS
from .candidates import MEASURED, Candidates, Measured

logger = logging.getLogger(__name__)

SAME_TOP1 = 0.995  # minimum share of rows
ACCURACY_LOSS = 0.003  # maximum


@dataclass(frozen=True)
class Comparison:
    """The offered engines, and the reasons. Keys of `parity` and `not_measured` are `<engine> <precision>`."""

    offered: dict[str, list[str]] = field(default_factory=dict)  # engine -> precisions
    parity: dict[str, Parity] = field(default_factory=dict)
    not_measured: dict[str, str] = field(default_factory=dict)  # -> reason


def compare(candidate: Bundle, candidates: Candidates, measured: Mapping[str, Measured]) -> Comparison:
    """Compare every candidate.

    Args:
        candidate: a bundle with golden rows and the calibration of each precision.
        candidates: the engines that run on this host.
        measured: outputs for labelled rows by precision.
    """
    comparison = Comparison(not_measured=dict(candidates.not_measured))
    for key, predict in candidates.predicts.items():
        engine, precision = key.split()
        if precision != REFERENCE and REFERENCE not in comparison.offered.get(engine, []):
            reason = f"{engine} {REFERENCE}, the reference, is not offered"
            comparison.not_measured[key] = reason
            continue
        facts = _on_golden_rows(predict, candidate)
        if engine == MEASURED and precision != REFERENCE:
            meanings = [evaluated_model.meaning(candidate, name) for name in (REFERENCE, precision)]
            facts = facts.model_copy(
                update={"labelled": agreement(measured[REFERENCE], measured[precision], *meanings)}
            )
        offer = passes(precision, facts)
        logger.info("%s is %s: %s", key, "offered" if offer else "not offered", facts)
        comparison.parity[key] = facts
        if offer:
            comparison.offered.setdefault(engine, []).append(precision)
    for key, reason in comparison.not_measured.items():
        logger.info("%s is not measured, so it is not offered: %s", key, reason)
    return comparison


def agreement(
    reference: Measured, reduced: Measured, reference_meaning: Meaning, reduced_meaning: Meaning
) -> dict[str, Agreement]:
    """Return, by modality, the comparison of a reduced precision with f32 on the same rows and forms."""
    counts = {modality: np.zeros(5, np.int64) for modality in (Modality.BOTH, Modality.IMAGE, Modality.TEXT)}
    for seen, other in ((reference.validation, reduced.validation), (reference.test, reduced.test)):
        for view in ROBUSTNESS:
            if view in seen.answers:
                expected, found = (
                    meaning.decide(rows, view).category
                    for meaning, rows in ((reference_meaning, seen), (reduced_meaning, other))
                )
                same, decided = found.chosen == expected.chosen, found.decision == expected.decision
                columns = (np.ones(len(same), bool), same, decided, found.hits, expected.hits)
                counts[view.modality] += [int(column.sum()) for column in columns]
    names = ("rows", "same_top1", "same_decision", "correct", "f32_correct")
    return {
        modality.value: Agreement(**dict(zip(names, found.tolist(), strict=True)))
        for modality, found in counts.items()
        if found[0]
    }


def passes(precision: str, facts: Parity) -> bool:
    """Return whether a precision may be offered, by the rules above."""
    difference = math.inf if facts.largest_difference is None else facts.largest_difference
    if precision == REFERENCE:
        return facts.same_top1 == facts.rows and difference <= golden.F32_TOLERANCE
    # A catalog without photos has no rows with both inputs.
    judged = facts.labelled.get(Modality.BOTH.value) or facts.labelled[Modality.TEXT.value]
    return (
        difference <= golden.REDUCED_LIMIT
        and judged.same_top1 >= SAME_TOP1 * judged.rows
        and judged.f32_correct - judged.correct <= ACCURACY_LOSS * judged.rows
    )


def _on_golden_rows(predict: Predict, candidate: Bundle) -> Parity:
    outcome = golden.differences(predict, candidate)
    largest = float(outcome.largest.max())
    return Parity(
        rows=len(outcome.largest),
        same_top1=int(outcome.same_top1.sum()),
        largest_difference=largest if math.isfinite(largest) else None,
    )
