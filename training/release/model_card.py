"""The model card of a bundle, generated from its manifest: every figure in it is a fact of the export."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from fashion_udf.model.engines import golden
from fashion_udf.model.manifest import Agreement, Manifest

from ..evaluation import measured_tables
from ..evaluation.table import Table, cell, interval
from . import parity


def render(manifest: Manifest, families: Mapping[str, Sequence[str]], notice: str) -> str:
    """Return the card as Markdown.

    Args:
        manifest: of the bundle.
        families: parent -> categories.
        notice: the text of NOTICE.
    """
    sections = {
        f"# {manifest.name}": _purpose(manifest),
        "## Training data": _data(manifest),
        "## Origin and licences": notice.strip(),
        "## Figures": _figures(manifest),
        "## Decisions": _decisions(manifest),
        "## Parity of engines": _parity(manifest),
        "## Limits": _LIMITS,
        "## Recipe": f"```json\n{json.dumps(manifest.recipe, indent=2, sort_keys=True)}\n```",
        "## Library versions": "\n".join(f"- {name} {number}" for name, number in manifest.library_versions.items()),
        "## Categories": ", ".join(manifest.labels),
        "## Parents": _parents(families),
        "## Attributes": "\n".join(f"- {each.name}: {', '.join(each.values)}" for each in manifest.attributes),
    }
    return "\n\n".join(f"{title}\n\n{body or 'None.'}" for title, body in sections.items()) + "\n"


_LIMITS = """\
- Trained on the products counted above alone: other shops' photos and titles, and other languages, are outside of what
  was measured. A product of another kind than the categories below has a high novelty and is never `auto` beyond the
  threshold; how well these are told is among the figures, and it is never perfect.
- A row without a photo, or without text, is scored on the other one, with its own calibration; see the figures of
  `image` and `text`. By the photo alone a category is often not decidable, its parent mostly is.
- Confidence is calibrated on the validation split; it drifts when the catalog does.
- Not for decisions about people. Photos may show models; the training labels are about products only."""


def _purpose(manifest: Manifest) -> str:
    attributes = f", {len(manifest.attributes)} attributes" if manifest.attributes else ""
    return (
        f"Sorts a fashion product by its photo and its text into one of {len(manifest.labels)} categories, and gives "
        f"the parent of the category{attributes}, a novelty that is high for other products, and a unit vector "
        f"of {manifest.embedding_size} numbers that is close for similar products.\n\n"
        f"Photo: EfficientNetB0 on {manifest.image.size} x {manifest.image.size} pixels (preprocessing "
        f"{manifest.image.preprocessing_version}). Text: LSTM over at most {manifest.text.max_tokens} tokens of a "
        f"vocabulary of {manifest.text.vocabulary_size}. Early fusion. Weights are in half precision."
    )


def _data(manifest: Manifest) -> str:
    rows = [[split, str(count)] for split, count in manifest.training_data.counts.items()]
    table = Table("", ["split", "products"], rows).as_markdown()
    return f"{table}\n\nDigest of the split: `{manifest.training_data.digest}`"


def _figures(manifest: Manifest) -> str:
    """Return the tables of each precision on the test split."""
    parts = []
    for precision, figures in cast(dict[str, Any], manifest.metrics).items():
        parts.append(f"### {precision}\n\nThe test split: {_counted(figures)}.")
        parts.append(_as_given(figures["as_given"]).as_markdown())
        parts += [f"#### {table.title}\n\n{table.as_markdown()}" for table in measured_tables.tables(figures)]
    return "\n\n".join(parts)


def _counted(figures: Mapping[str, Any]) -> str:
    return f"{figures['rows']} products of known categories and {figures['unknown_rows']} others"


def _as_given(by_modality: Mapping[str, Mapping[str, Any]]) -> Table:
    measured = ("accuracy", "precision", "recall", "f1")
    others = {
        "macro_f1": "macro F1",
        "top3": "top 3",
        "ece": "ECE",
        "auto_share": "auto",
        "auto_precision": "auto right",
    }
    rows = [
        [
            modality,
            cell(found.get("rows"), "rows"),
            *(f"{cell(found.get(key))}{interval(found.get('intervals', {}).get(key), ' ')}" for key in measured),
            *(cell(found.get(key)) for key in others),
        ]
        for modality, found in by_modality.items()
    ]
    note = "Precision, recall and F1 are weighted by rows. Intervals are a bootstrap's, of 95 %."
    return Table("", ["input", "rows", *measured, *others.values()], rows, note)


def _decisions(manifest: Manifest) -> str:
    rows = []
    for precision, by_modality in manifest.calibration.items():
        for modality, facts in by_modality.items():
            kinds = {"category": facts.category, "parent": facts.parent, **facts.attributes}
            for kind, limits in kinds.items():
                numbers = (limits.temperature, limits.auto, limits.review, facts.novelty)
                rows.append([precision, modality, kind, *(f"{number:.4f}" for number in numbers)])
    head = ["precision", "input", "answer", "temperature", "auto from", "review from", "auto up to novelty"]
    return Table(
        "", head, rows, "A threshold above 1 means never: the target precision could not be shown."
    ).as_markdown()


def _parents(families: Mapping[str, Sequence[str]]) -> str:
    listed = "\n".join(f"- {family}: {', '.join(categories)}" for family, categories in families.items())
    return f"{listed}\n\nEvery other category is its own parent."


def _parity(manifest: Manifest) -> str:
    offered = {f"{engine} {precision}" for engine, names in manifest.engines.items() for precision in names}
    on_golden_rows = [
        [
            name,
            "yes" if name in offered else "no",
            f"{facts.same_top1} of {facts.rows}",
            _difference(facts.largest_difference),
        ]
        for name, facts in manifest.parity.items()
    ]
    head = ["engine and precision", "offered", "same category", "largest difference"]
    parts = ["With the Keras model, on the golden rows:", Table("", head, on_golden_rows).as_markdown()]
    labelled = [
        [name, modality, *_compared(agreement)]
        for name, facts in manifest.parity.items()
        for modality, agreement in facts.labelled.items()
    ]
    if labelled:
        head = ["engine and precision", "input", "same category", "same decision", "accuracy", "accuracy of f32"]
        parts += [_LABELLED, Table("", head, labelled).as_markdown()]
    if "openvino int8" in offered:
        parts.append(_INT8)
    parts += [f"{name} is not offered, for it was not measured: {why}." for name, why in manifest.not_measured.items()]
    return "\n\n".join(parts)


_LABELLED = (
    "With f32 of the same engine, on all rows of validation and test in every form of the text. A precision is offered "
    f"when, with both inputs, at least {parity.SAME_TOP1:.1%} keep their category and at most "
    f"{100 * parity.ACCURACY_LOSS:.1f} points of accuracy are lost, and when no golden row differs by more than "
    f"{golden.REDUCED_LIMIT}:"
)

_INT8 = (
    "In int8, the convolutions between the pixels and the pooling have weights and inputs of 8 bits, and most swishes "
    "are hard swishes, fitted channel by channel on photos of the train split."
)


def _compared(facts: Agreement) -> list[str]:
    same, decided, correct, f32_correct = (
        f"{count / facts.rows:.2%}"
        for count in (facts.same_top1, facts.same_decision, facts.correct, facts.f32_correct)
    )
    return [f"{facts.same_top1} of {facts.rows} ({same})", decided, correct, f32_correct]


def _difference(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.2g}"
