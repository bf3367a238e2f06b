"""One evaluation of a bundle on a split: every figure, and the rows that a person should look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fashion_udf.schema import Modality

from ..data import category_words, labelled_rows, split
from . import baseline, evaluated_model, measures, mistakes
from .evaluated_model import FREQUENT, EvaluatedModel, EvaluatedRows
from .mistakes import Mistake
from .modality_logits import ModalityLogits, accuracies
from .report import Evaluation
from .tables import PUBLISHED

_SUREST, _SUSPICIOUS = 24, 12  # rows shown


@dataclass(frozen=True)
class Options:
    """What to measure, and how."""

    bundle: str
    data: Path
    split: str
    engine: str
    precision: str
    neighbours: int  # 0: none, which saves a pass over the train split
    baseline: bool


def evaluate(options: Options) -> Evaluation:
    """Read a bundle, run it on one split and measure it.

    The figures are `model`, `data`, `all` and `frequent` (by modality), `published`, `baseline`, `robustness` and
    `neighbours`; the last and `baseline` are None where they were left out.

    Raises:
        BundleError, ConfigError, EngineError: the bundle cannot be used, or not with this engine.
        CatalogError: the training set is missing, or no row is of a category that the model knows.
    """
    products = Counter(name for part in split.SPLITS for name in labelled_rows.column(options.data / part, "category"))
    model = evaluated_model.read(options.bundle, options.data, options.engine, options.precision)
    rows = evaluated_model.run_three_ways(model, options.split, products)
    figures = {
        "model": {
            "name": model.manifest.name,
            "version": model.version,
            "engine": options.engine,
            "precision": options.precision,
        },
        "data": _data(model, options.split, rows),
        **{name: _by_modality(model, rows.outcome.select(kept)) for name, kept in rows.groups().items()},
        "published": PUBLISHED,
        "baseline": _baseline(model, rows) if options.baseline else None,
        "robustness": _robustness(model, options.split, rows),
        "neighbours": _neighbours(model, options.split, rows, options.neighbours) if options.neighbours else None,
    }
    return _evaluation(model, options.split, rows, products, figures)


def _data(model: EvaluatedModel, part: str, rows: EvaluatedRows) -> dict[str, Any]:
    ids = {name: labelled_rows.column(model.data / name, "product_id") for name in split.SPLITS}
    digest = split.digest(
        [product_id for names in ids.values() for product_id in names],
        [name for name, names in ids.items() for _ in names],
    )
    return {
        "split": part,
        "rows": len(rows.titles),
        "unknown_category_rows": int((~rows.known).sum()),
        "frequent_from": FREQUENT,
        "split_of_the_model": digest == model.manifest.training_data.digest,
    }


def _by_modality(model: EvaluatedModel, outcome: ModalityLogits) -> dict[str, dict[str, float]]:
    temperature, thresholds = model.manifest.temperature, model.manifest.thresholds
    return {
        name.value: measures.calibrated_classification(outcome.labels, logits, temperature[name], thresholds[name].auto)
        for name, logits in outcome.logits.items()
    }


def _baseline(model: EvaluatedModel, rows: EvaluatedRows) -> dict[str, Any]:
    index = {name: position for position, name in enumerate(model.manifest.labels)}

    def labelled(part: str) -> baseline.Titles:
        categories = labelled_rows.column(model.data / part, "category")
        return baseline.Titles(
            labelled_rows.titles(labelled_rows.column(model.data / part, "text")),
            np.asarray([index.get(name, -1) for name in categories], np.int32),
        )

    fitted = baseline.fit(labelled("train"), labelled("validation"), len(index))
    probabilities = fitted.probabilities(rows.titles)
    labels = rows.outcome.labels
    figures = {name: measures.classification(labels[kept], probabilities[kept]) for name, kept in rows.groups().items()}
    return {"regularisation": fitted.regularisation, **figures}


def _robustness(model: EvaluatedModel, part: str, rows: EvaluatedRows) -> dict[str, dict[str, Any]]:
    """Accuracies with an input, or the words that name a category, taken away."""
    words = category_words.forms(model.manifest.labels)

    def without_words(product_id: str, text: str, category: str) -> str:
        title, line, rest = text.partition("\n")
        return (category_words.without(title, words) + line + rest).strip()

    changed = sum(category_words.without(title, words) != " ".join(title.split()) for title in rows.titles)
    left = model.run(part, (Modality.BOTH, Modality.TEXT), f"{part}, without category words: ran", without_words)
    as_given, unnamed = accuracies(rows.outcome), accuracies(left.select(rows.known))
    return {
        "as_given": {"both": as_given["both"], "text": as_given["text"]},
        "photo_removed": {"both": as_given["text"], "text": as_given["text"]},
        "text_removed": {"both": as_given["image"]},
        "category_words_removed": {
            **unnamed,
            "both_minus_text": unnamed["both"] - unnamed["text"],
            "changed_titles": changed,
        },
    }


def _neighbours(model: EvaluatedModel, part: str, rows: EvaluatedRows, count: int) -> dict[str, Any]:
    own = part == "train"
    references = rows.outcome if own else model.run("train", (Modality.BOTH,), "train, for neighbours: ran")
    assert rows.outcome.embedding is not None and references.embedding is not None  # `both` was run
    shares = measures.neighbours_of_category(
        rows.outcome.embedding, rows.outcome.labels, references.embedding, references.labels, count, own
    )
    means = {name: float(shares[kept].mean()) if kept.any() else None for name, kept in rows.groups().items()}
    return {"count": count, **means}


def _evaluation(
    model: EvaluatedModel, part: str, rows: EvaluatedRows, products: Counter[str], figures: dict[str, Any]
) -> Evaluation:
    labels = rows.outcome.labels
    predicted = {name: logits.argmax(axis=1) for name, logits in rows.outcome.logits.items()}
    sure = {
        name: measures.confidences(labels, logits, model.manifest.temperature[name])
        for name, logits in rows.outcome.logits.items()
    }
    by_photo = predicted[Modality.IMAGE], sure[Modality.IMAGE][0]
    by_text = predicted[Modality.TEXT], sure[Modality.TEXT][0]
    surest = mistakes.surest(*sure[Modality.BOTH], _SUREST)
    suspicious = mistakes.suspicious_labels(labels, by_photo, by_text, _SUSPICIOUS)
    shown = [
        _mistakes(model, rows, surest, predicted[Modality.BOTH], sure[Modality.BOTH][0]),
        # The confidence that is shown is the lower one of photo and text.
        _mistakes(model, rows, suspicious, by_photo[0], np.minimum(by_photo[1], by_text[1])),
    ]
    photos = labelled_rows.photos(model.data / part, {row.product_id for rows_shown in shown for row in rows_shown})
    return Evaluation(
        figures=figures,
        names=model.manifest.labels,
        products=products,
        confusion=measures.confusion_matrix(labels, predicted[Modality.BOTH], len(model.manifest.labels)),
        reliability={name.value: measures.reliability(*pair) for name, pair in sure.items()},
        surest=mistakes.with_photos(shown[0], photos),
        suspicious=mistakes.with_photos(shown[1], photos),
    )


def _mistakes(
    model: EvaluatedModel,
    rows: EvaluatedRows,
    positions: NDArray[np.int64],
    predicted: NDArray[np.int64],
    confidence: NDArray[np.float64],
) -> Sequence[Mistake]:
    names = model.manifest.labels
    return [
        Mistake(
            product_id=rows.product_ids[at],
            title=rows.titles[at],
            label=names[rows.outcome.labels[at]],
            predicted=names[predicted[at]],
            confidence=float(confidence[at]),
            photo="",
        )
        for at in positions
    ]
