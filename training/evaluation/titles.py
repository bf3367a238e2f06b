"""Evaluation of titles from a CSV file with the columns `title` and `category`."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from fashion_udf.errors import InputError
from fashion_udf.model.tokenizer import product_text
from fashion_udf.schema import Modality

from . import novelty
from .evaluated_model import EvaluatedModel
from .figures import judged
from .robustness_forms import TITLE_ALONE
from .views import View

_VIEW = View(Modality.TEXT, TITLE_ALONE)


def read(file: Path) -> list[dict[str, Any]]:
    """Read the rows of a CSV file as rows of a training set, without photos.

    Raises:
        InputError: a column is missing, or there is no row.
    """
    with file.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        if missing := sorted({"title", "category"} - set(reader.fieldnames or ())):
            raise InputError(f"Expected the columns title and category in {file}. Received: no {', '.join(missing)}")
        rows = [
            {
                "product_id": str(number),
                "text": product_text(line["title"], None),
                "image": b"",
                "category": line["category"],
                "attributes": "{}",
            }
            for number, line in enumerate(reader)
        ]
    if not rows:
        raise InputError(f"Expected titles in {file}. Received: none")
    return rows


def measure(model: EvaluatedModel, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return figures of the titles of the model's categories, and how well other titles are detected (`novelty`).

    A title with a category that the model does not know counts as an unknown product.
    """
    seen = model.run_rows(rows, [_VIEW], "titles: ran", len(rows))
    if _VIEW not in seen.answers:
        raise InputError("Expected titles with a word that the tokenizer knows. Received: none")
    decided = model.meaning.decide(seen, _VIEW)
    known, unknown = decided.select(decided.known), decided.select(~decided.known)
    return {
        "known": judged(known.category),
        "parents": judged(known.parent),
        "novelty": novelty.figures(known, unknown),
    }
