"""Evaluate a bundle on a split: all figures, and the rows that a person should look at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fashion_udf.errors import CatalogError
from fashion_udf.schema import Modality

from ..data import labelled_rows, split
from . import attribute_baselines, baseline, evaluated_model, figures, measures, mistakes, neighbours, titles
from .decided import Answer
from .evaluated_model import EvaluatedModel
from .mistakes import Mistake
from .report import Evaluation
from .robustness_forms import TITLE_ALONE
from .tables import PUBLISHED
from .views import AS_THEY_ARE, Seen, View

#: Minimum of labelled products of a frequent category. Rarer categories are hard to learn and to measure.
FREQUENT = 10
_SUREST, _SUSPICIOUS = 24, 12  # rows shown
_UNTOLD = View(Modality.BOTH, TITLE_ALONE)


@dataclass(frozen=True)
class Options:
    """Options of an evaluation."""

    bundle: str
    data: Path
    split: str
    engine: str
    precision: str
    neighbours: int  # 0 means none, without a pass over the train split
    baseline: bool
    titles: Path | None = None  # a CSV file of more titles


def evaluate(options: Options) -> Evaluation:
    """Read a bundle, run it on one split and measure it.

    The figures are `model`, `data`, those of `figures.measure`, `frequent` (by modality), `published`, `baseline`,
    `attribute_baselines`, `novelty_scores`, `neighbours` and `titles`; None for figures that were not requested.

    Raises:
        BundleError, ConfigError, EngineError: the bundle cannot be used, or not with this engine.
        CatalogError: the training set is missing, or no row has a category that the model knows.
        InputError: the file of titles has no titles or lacks a column.
    """
    more_titles = titles.read(options.titles) if options.titles else None
    products = Counter(name for part in split.SPLITS for name in labelled_rows.column(options.data / part, "category"))
    model = evaluated_model.read(options.bundle, options.data, options.engine, options.precision)
    seen = model.run(options.split, figures.VIEWS, f"{options.split}, in all forms: ran")
    if not (seen.labels >= 0).any():
        raise CatalogError(
            f"Expected a row of one of the model's {len(model.manifest.labels)} categories. "
            f"Received: {len(seen.labels)} rows without one in {options.data / options.split}"
        )
    frequent = seen.select(np.asarray([products[name] >= FREQUENT for name in seen.categories], bool))
    measured = {
        "model": {
            "name": model.manifest.name,
            "version": model.version,
            "engine": options.engine,
            "precision": options.precision,
        },
        "data": _data(model, options.split),
        **figures.measure(seen, model.meaning, model.run_odd()),
        "frequent": {view.modality.value: figures.classified(frequent, view, model.meaning) for view in AS_THEY_ARE},
        "published": PUBLISHED,
        "baseline": _baseline(model, seen) if options.baseline else None,
        "attribute_baselines": _attribute_baselines(model, seen) if options.baseline else None,
        "novelty_scores": figures.compared_novelty(seen, model.meaning),
        "neighbours": _neighbours(model, seen, options.neighbours) if options.neighbours else None,
        "titles": titles.measure(model, more_titles) if more_titles else None,
    }
    return _evaluation(model, options.split, seen, products, measured)


def _data(model: EvaluatedModel, part: str) -> dict[str, Any]:
    ids = {name: labelled_rows.column(model.data / name, "product_id") for name in split.SPLITS}
    digest = split.digest(
        [product_id for names in ids.values() for product_id in names],
        [name for name, names in ids.items() for _ in names],
    )
    return {
        "split": part,
        "frequent_from": FREQUENT,
        "split_of_the_model": digest == model.manifest.training_data.digest,
    }


def _baseline(model: EvaluatedModel, seen: Seen) -> dict[str, Any]:
    index = {name: position for position, name in enumerate(model.manifest.labels)}

    def labelled(part: str) -> baseline.Titles:
        categories = labelled_rows.column(model.data / part, "category")
        return baseline.Titles(
            labelled_rows.titles(labelled_rows.column(model.data / part, "text")),
            np.asarray([index.get(name, -1) for name in categories], np.int32),
        )

    fitted = baseline.fit(labelled("train"), labelled("validation"), len(index))
    known, labels = baseline.Titles(seen.titles, seen.labels).known()
    return {
        "regularisation": fitted.regularisation,
        **measures.classification(labels, fitted.probabilities(known)),
    }


def _attribute_baselines(model: EvaluatedModel, seen: Seen) -> dict[str, dict[str, float | None]]:
    attributes = model.preparation.attributes

    def labelled(part: str) -> attribute_baselines.LabelledTitles:
        return attribute_baselines.LabelledTitles(
            labelled_rows.titles(labelled_rows.column(model.data / part, "text")),
            labelled_rows.attributes(model.data / part, attributes),
        )

    known = seen.labels >= 0
    test = attribute_baselines.LabelledTitles(
        [title for title, keep in zip(seen.titles, known, strict=True) if keep], seen.attributes[known]
    )
    found = attribute_baselines.accuracies(
        labelled("train"), labelled("validation"), test, [len(attribute.values) for attribute in attributes]
    )
    return {attribute.name: figures_of for attribute, figures_of in zip(attributes, found, strict=True)}


def _neighbours(model: EvaluatedModel, seen: Seen, count: int) -> dict[str, float] | None:
    references = model.run("train", [_UNTOLD], "train, for neighbours: ran", with_photo=True)
    if _UNTOLD not in seen.answers or _UNTOLD not in references.answers:
        return None
    asked, given = (rows.select((rows.labels >= 0) & rows.has(_UNTOLD)) for rows in (seen, references))
    properties = {"category": (asked.labels, given.labels)}
    for number, attribute in enumerate(model.preparation.attributes):
        properties[attribute.name] = (asked.attributes[:, number], given.attributes[:, number])
    own, theirs = ((rows.of(_UNTOLD)[1].embedding, rows.titles) for rows in (asked, given))
    return {"count": float(count), **neighbours.shared(own, theirs, properties, count)}


def _evaluation(
    model: EvaluatedModel, part: str, seen: Seen, products: Counter[str], measured: dict[str, Any]
) -> Evaluation:
    known = seen.select(seen.labels >= 0)
    told = {view: model.meaning.decide(known, view).category for view in AS_THEY_ARE if view in known.answers}
    best, *_ = told  # with both inputs, if a row has both
    answer = told[best]
    surest = _mistakes(model, known.select(known.has(best)), answer, mistakes.surest(answer, _SUREST))
    suspicious = _suspicious(model, known)
    photos = labelled_rows.photos(model.data / part, {row.product_id for row in (*surest, *suspicious)})
    return Evaluation(
        figures=measured,
        names=model.manifest.labels,
        products=products,
        confusion=measures.confusion_matrix(answer.labels, answer.chosen, len(model.manifest.labels)),
        reliability={
            view.modality.value: measures.reliability(each.confidence, each.hits) for view, each in told.items()
        },
        surest=mistakes.with_photos(surest, photos),
        suspicious=mistakes.with_photos(suspicious, photos),
    )


def _suspicious(model: EvaluatedModel, known: Seen) -> list[Mistake]:
    _, photo, text = AS_THEY_ARE
    seen = known.select(known.has(photo, text))
    if not len(seen.labels):
        return []
    by_photo, by_text = (model.meaning.decide(seen, view).category for view in (photo, text))
    # The page shows the lower one of the confidences of photo and text.
    shown = replace(by_photo, confidence=np.minimum(by_photo.confidence, by_text.confidence))
    return _mistakes(model, seen, shown, mistakes.suspicious_labels(by_photo, by_text, _SUSPICIOUS))


def _mistakes(model: EvaluatedModel, seen: Seen, answer: Answer, positions: NDArray[np.int64]) -> list[Mistake]:
    names = model.manifest.labels
    return [
        Mistake(
            product_id=seen.product_ids[at],
            title=seen.titles[at],
            label=names[answer.labels[at]],
            predicted=names[answer.chosen[at]],
            confidence=float(answer.confidence[at]),
            photo="",
        )
        for at in positions.tolist()
    ]
