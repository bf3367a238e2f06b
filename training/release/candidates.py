"""Build and measure the engines and precisions that a bundle may offer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import registry
from fashion_udf.model.engines.openvino import has_bf16
from fashion_udf.model.engines.prediction import Predict
from fashion_udf.model.manifest import OPENVINO_IR

from ..data import dataset, labelled_rows
from ..evaluation import evaluated_model, odd_rows, views
from ..evaluation.figures import VIEWS
from ..evaluation.views import PHOTO, ROBUSTNESS, Seen

#: Engine -> precisions to measure, f32 first.
ENGINES = {"openvino": ("f32", "bf16", "int8"), "tensorflow": ("f32",)}
#: The engine whose precisions are calibrated and measured on labelled rows.
MEASURED = "openvino"


@dataclass(frozen=True)
class Candidates:
    """Engines that run on this host, and why others do not. Keys are `<engine> <precision>`."""

    predicts: Mapping[str, Predict]
    not_measured: Mapping[str, str]  # -> reason


@dataclass(frozen=True)
class Measured:
    """The outputs of one precision for validation and test, and for pictures without a product."""

    validation: Seen  # in all forms
    test: Seen  # in all forms, and with titles of other products
    odd: Seen


def build(candidate: Bundle, data: Path | None) -> Candidates:
    """Build every engine that can be measured.

    Args:
        candidate: a bundle with the float IR, and with the int8 IR if the training set has photos.
        data: a training set with the splits validation and test. Without it, only f32 is measured.
    """
    predicts, not_measured = {}, {}
    for engine, precisions in ENGINES.items():
        for precision in precisions:
            key = f"{engine} {precision}"
            if reason := _obstacle(precision, data, candidate):
                not_measured[key] = reason
            else:
                predicts[key] = registry.build(engine, candidate, precision, threads=1)
    return Candidates(predicts, not_measured)


def measure(candidates: Candidates, candidate: Bundle, data: Path) -> dict[str, Measured]:
    """Return the outputs of each precision of `MEASURED`."""
    parents = candidate.taxonomy.by_category
    preparation = evaluated_model.preparation(candidate)
    found = {}
    for precision in ENGINES[MEASURED]:
        predict = candidates.predicts.get(f"{MEASURED} {precision}")
        if predict is None:
            continue
        seen = {}
        for split, asked in (("validation", ROBUSTNESS), ("test", VIEWS)):
            rows, total = labelled_rows.rows(data / split), dataset.count(data / split)
            label = f"{split} in {precision}, all forms: ran"
            seen[split] = views.run(predict, rows, preparation, asked, parents, label, total)
        odd = views.run(predict, odd_rows.rows(preparation.image_size), preparation, [PHOTO])
        found[precision] = Measured(seen["validation"], seen["test"], odd)
    return found


def _obstacle(precision: str, data: Path | None, candidate: Bundle) -> str | None:
    """Return why a precision cannot be measured on this host; None if it can."""
    if precision == "f32":
        return None
    if data is None:
        return "the export had no training set"
    if precision == "bf16" and not has_bf16():
        return "the CPU of the export has no bf16"
    if precision == "int8" and f"{OPENVINO_IR[precision]}.xml" not in candidate.files:
        return "no row of the training set has a photo"
    return None
