"""The model card of a bundle, generated from its manifest: every figure in it is a fact of the export."""

from __future__ import annotations

import json
from typing import Any, cast

from fashion_udf.model.engines import golden
from fashion_udf.model.manifest import Agreement, Manifest

from . import parity


def render(manifest: Manifest) -> str:
    """Return the card as Markdown."""
    sections = {
        f"# {manifest.name}": _purpose(manifest),
        "## Training data": _data(manifest),
        "## Figures": _figures(manifest),
        "## Decisions": _decisions(manifest),
        "## Parity of engines": _parity(manifest),
        "## Limits": _LIMITS,
        "## Recipe": f"```json\n{json.dumps(manifest.recipe, indent=2, sort_keys=True)}\n```",
        "## Library versions": "\n".join(f"- {name} {number}" for name, number in manifest.library_versions.items()),
        "## Categories": ", ".join(manifest.labels),
    }
    return "\n\n".join(f"{title}\n\n{body}" for title, body in sections.items()) + "\n"


_LIMITS = """\
- Trained on the products counted above alone: other shops' photos and titles, other languages, and categories that are
  not in the list below, are outside of what was measured. A product of an unknown category gets the nearest known one.
- A row without a photo, or without text, is scored on the other one, with its own temperature and thresholds; see the
  figures of `image` and `text`.
- Confidence is calibrated on the validation split; it drifts when the catalog does.
- Not for decisions about people. Photos may show models; the training labels are about products only."""


def _purpose(manifest: Manifest) -> str:
    return (
        f"Sorts a fashion product by its photo and its text into one of {len(manifest.labels)} categories, and gives a "
        f"unit vector of {manifest.embedding_size} numbers that is close for similar products.\n\n"
        f"Photo: EfficientNetB0 on {manifest.image.size} x {manifest.image.size} pixels (preprocessing "
        f"{manifest.image.preprocessing_version}). Text: LSTM over at most {manifest.text.max_tokens} tokens of a "
        f"vocabulary of {manifest.text.vocabulary_size}. Early fusion. Weights are in half precision."
    )


def _data(manifest: Manifest) -> str:
    rows = [[split, str(count)] for split, count in manifest.training_data.counts.items()]
    return f"{_table(['split', 'products'], rows)}\n\nDigest of the split: `{manifest.training_data.digest}`"


def _figures(manifest: Manifest) -> str:
    """Return a table with a row for each split and input; `metrics` is split -> input -> measure -> number."""
    measures_of: dict[tuple[str, str], dict[str, float]] = {
        (split, modality): measures
        for split, modalities in cast(dict[str, Any], manifest.metrics).items()
        for modality, measures in modalities.items()
    }
    names = list(dict.fromkeys(name for measures in measures_of.values() for name in measures))
    rows = [
        [*key, *(f"{measures[name]:.4g}" if name in measures else "-" for name in names)]
        for key, measures in measures_of.items()
    ]
    return _table(["split", "input", *names], rows)


def _decisions(manifest: Manifest) -> str:
    rows = [
        [name, f"{temperature:.4f}", f"{manifest.thresholds[name].auto:.4f}", f"{manifest.thresholds[name].review:.4f}"]
        for name, temperature in manifest.temperature.items()
    ]
    table = _table(["input", "temperature", "auto from", "review from"], rows)
    return f"{table}\n\nA threshold above 1 means never: the target precision could not be shown."


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
    parts = [
        "With the Keras model, on the golden rows:",
        _table(["engine and precision", "offered", "same category", "largest difference"], on_golden_rows),
    ]
    labelled = [
        [name, modality, *_compared(agreement)]
        for name, facts in manifest.parity.items()
        for modality, agreement in facts.labelled.items()
    ]
    if labelled:
        head = ["engine and precision", "input", "same category", "accuracy", "accuracy of f32"]
        parts += [_LABELLED, _table(head, labelled)]
    if "openvino int8" in offered:
        parts.append(_INT8)
    parts += [f"{name} is not offered, for it was not measured: {why}." for name, why in manifest.not_measured.items()]
    return "\n\n".join(parts)


_LABELLED = (
    "With f32 of the same engine, on all rows of validation and test. A precision is offered when, with both inputs, "
    f"at least {parity.SAME_TOP1:.1%} keep their category and at most {100 * parity.ACCURACY_LOSS:.1f} points of "
    f"accuracy are lost, and when no golden row differs by more than {golden.REDUCED_LIMIT}:"
)

_INT8 = (
    "In int8, the convolutions between the pixels and the pooling have weights and inputs of 8 bits, and most swishes "
    "are hard swishes, fitted channel by channel on photos of the train split."
)


def _compared(facts: Agreement) -> list[str]:
    same, correct, f32_correct = (
        f"{count / facts.rows:.2%}" for count in (facts.same_top1, facts.correct, facts.f32_correct)
    )
    return [f"{facts.same_top1} of {facts.rows} ({same})", correct, f32_correct]


def _difference(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.2g}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])
