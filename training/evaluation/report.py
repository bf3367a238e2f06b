"""The files of an evaluation: figures as JSON, a table by category as CSV, pictures, and a page with all of these.

    evaluation.json   all figures
    categories.csv    one row per category
    confusion.png, reliability.png
    index.html        all of the above, the most confident mistakes and probably wrong labels, in one file

The same evaluation gives the same bytes of JSON and CSV.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import measures, page, pictures, tables
from .figures import rounded
from .mistakes import Mistake


@dataclass(frozen=True)
class Evaluation:
    """The results of a bundle on one split of K categories."""

    figures: Mapping[str, Any]  # plain JSON values, see `training.evaluation.evaluate_bundle.evaluate`
    names: Sequence[str]  # the K categories
    products: Mapping[str, int]  # category -> products in train, validation and test together
    confusion: NDArray[np.int64]  # [K, K], with photo and text
    reliability: Mapping[str, Sequence[measures.Bin | None]]  # by modality
    surest: Sequence[Mistake]
    suspicious: Sequence[Mistake]


def as_json(evaluation: Evaluation) -> str:
    """Return the figures as JSON text."""
    return json.dumps(rounded(evaluation.figures), indent=2, sort_keys=True, allow_nan=False) + "\n"


def as_csv(evaluation: Evaluation) -> str:
    """Return the table by category as CSV text."""
    file = io.StringIO()
    category, *others = (field.name for field in fields(measures.CategoryFigures))
    writer = csv.DictWriter(file, [category, "products", *others], lineterminator="\n")
    writer.writeheader()
    for row in measures.by_category(evaluation.confusion, evaluation.names):
        writer.writerow(rounded({"products": evaluation.products.get(row.category, 0), **asdict(row)}))
    return file.getvalue()


def write(folder: Path, evaluation: Evaluation) -> Path:
    """Write all files into a folder, replace those of an earlier report, and return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    errors = {name: row.get("ece", 0.0) for name, row in evaluation.figures["as_given"].items()}
    drawn = {
        "reliability": pictures.reliability(evaluation.reliability, errors),
        "confusion": pictures.confusion(evaluation.confusion, evaluation.names),
    }
    for name, picture in drawn.items():
        (folder / f"{name}.png").write_bytes(picture)
    (folder / "evaluation.json").write_text(as_json(evaluation), encoding="utf-8")
    (folder / "categories.csv").write_text(as_csv(evaluation), encoding="utf-8")
    index = folder / "index.html"
    index.write_text(_page(evaluation, drawn), encoding="utf-8")
    return index


def _page(evaluation: Evaluation, drawn: Mapping[str, bytes]) -> str:
    model = evaluation.figures["model"]
    rows = measures.by_category(evaluation.confusion, evaluation.names)
    return page.render(
        title=f"Evaluation of {model['name']}",
        facts={
            "model version": model["version"],
            "engine": f"{model['engine']} {model['precision']}",
            "split": evaluation.figures["data"]["split"],
        },
        tables=tables.tables(evaluation.figures),
        categories=tables.by_category(rows, evaluation.products),
        pictures={"Reliability": drawn["reliability"], "Confusion, with photo and text": drawn["confusion"]},
        surest=evaluation.surest,
        suspicious=evaluation.suspicious,
    )
