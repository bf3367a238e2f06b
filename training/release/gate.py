"""The release gate: it refuses a bundle that misses a limit of its recipe or is worse than the replaced bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from fashion_udf.errors import BundleError
from fashion_udf.model import bundle
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import registry
from fashion_udf.model.manifest import REFERENCE

from ..data import dataset, labelled_rows
from ..evaluation import evaluated_model, limits, views
from ..evaluation.figures import NO_TEXT
from ..evaluation.limits import Limits
from ..evaluation.views import ROBUSTNESS, Seen
from .candidates import MEASURED


def refuse(missed: list[str], kept: Path) -> NoReturn:
    """Refuse a release. Its bundle is kept in the directory `kept`.

    Raises:
        BundleError: always. The message has every missed limit.
    """
    raise BundleError(
        "Expected the model to reach the limits of a release (`release` in the recipe, --replaces). Received: "
        f"{'; '.join(missed)}. The bundle is in {kept}. Rename it to use it in spite of this"
    )


def missed(allowed: Limits, metrics: Mapping[str, Any], offered: list[str]) -> list[str]:
    """Return the missed limits of offered precisions. `metrics` has the figures of the test split by precision."""
    return [f"{name}: {text}" for name in offered for text in limits.missed(allowed, metrics[name])]


def lost(reference: str, new: Seen, labels: tuple[str, ...], data: Path, points: float) -> list[str]:
    """Return the forms in which a new model is worse than a bundle by more than `points` of accuracy.

    Both are compared in f32 on the rows of the test split whose category both models know.

    Args:
        reference: the bundle to replace.
        new: outputs of the new model for the test split, in all forms.
        labels: the categories of the new model.
        data: the training set.
        points: points of accuracy that each form may lose.

    Raises:
        BundleError: the bundle cannot be read.
    """
    replaced = bundle.read(reference)
    old = _run(replaced, data)
    found = []
    for view in ROBUSTNESS:
        before, after = (_hits(seen, view, names) for seen, names in ((old, replaced.labels), (new, labels)))
        shared = sorted(before.keys() & after.keys())
        if not shared:
            continue
        earlier, now = (float(np.mean([hits[row] for row in shared])) for hits in (before, after))
        if 100 * (earlier - now) > points + 1e-9:
            name = f"{view.modality.value}.{view.form or NO_TEXT}"
            found.append(
                f"{name} has an accuracy of {now:.4f}, and the replaced bundle has {earlier:.4f}, on "
                f"{len(shared)} rows; it may lose {points:g} points"
            )
    return found


def _run(replaced: Bundle, data: Path) -> Seen:
    predict = registry.create(MEASURED, replaced, REFERENCE, threads=1)
    rows, total = labelled_rows.rows(data / "test"), dataset.count(data / "test")
    label = "test, with the replaced bundle: ran"
    return views.run(predict, rows, evaluated_model.preparation(replaced), ROBUSTNESS, None, label, total)


def _hits(seen: Seen, view: views.View, labels: tuple[str, ...]) -> dict[str, bool]:
    """Return, by product id, whether the best category is the label, for rows of known categories."""
    if view not in seen.answers:
        return {}
    known, prediction = seen.of(view)
    chosen = prediction.logits[:, :-1].argmax(axis=1)
    rows = zip(seen.answers[view].rows.tolist(), known.tolist(), chosen.tolist(), strict=True)
    return {seen.product_ids[row]: best == label for row, label, best in rows if label >= 0}
