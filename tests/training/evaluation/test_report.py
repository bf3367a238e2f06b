"""The report: a page that needs nothing and runs nothing, and the same bytes for the same evaluation."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.evaluation_figures import figures
from training.evaluation import report
from training.evaluation.measures import Bin
from training.evaluation.mistakes import Mistake
from training.evaluation.report import Evaluation

HOSTILE = '<script>alert("1")</script><img src=x onerror=alert(2)>{{ 7 * 7 }}'
#: A pixel.
PHOTO = "data:image/jpeg;base64,/9j/4AAQSkZJRg+/=="


def _evaluation(**changed: Any) -> Evaluation:
    mistake = Mistake("007", "Red tie", "Ties", "Belts", 0.987654, PHOTO)
    values: dict[str, Any] = {
        "figures": figures(),
        "names": ["Belts", "Ties"],
        "products": {"Belts": 30, "Ties": 12},
        "confusion": np.asarray([[2, 1], [0, 0]]),
        "reliability": {"both": [None, Bin(3, 0.7, 2 / 3)]},
        "surest": [mistake],
        "suspicious": [],
    }
    return Evaluation(**{**values, **changed})


class _Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def _page(folder: Path, **changed: Any) -> _Elements:
    return _Elements(report.write(folder, _evaluation(**changed)).read_text(encoding="utf-8"))


@pytest.mark.parametrize("field", ["product_id", "title", "label", "predicted"])
def test_what_comes_from_a_catalog_is_text_on_the_page_and_nothing_else(tmp_path: Path, field: str) -> None:
    row = Mistake(**{**vars(_evaluation().surest[0]), field: HOSTILE})
    page = _page(tmp_path, surest=[row], suspicious=[row])
    assert page.text.count(HOSTILE) == 2
    assert "script" not in {tag for tag, _ in page.elements}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_category_and_model_names_are_text_too(tmp_path: Path) -> None:
    model = {**figures()["model"], "name": HOSTILE}
    page = _page(tmp_path, names=[HOSTILE, "Ties"], products={}, figures=figures(model=model))
    assert page.text.count(HOSTILE) == 3  # title, heading, table by category
    assert "script" not in {tag for tag, _ in page.elements}


def test_the_page_needs_no_other_file_and_its_policy_forbids_scripts(tmp_path: Path) -> None:
    page = _page(tmp_path)
    sources = [
        attributes[name] or "" for _, attributes in page.elements for name in ("src", "href") if name in attributes
    ]
    assert PHOTO in sources and len(sources) == 3  # a photo and two pictures
    assert all(re.match(r"data:image/(jpeg|png);base64,[A-Za-z0-9+/=]+$", source) for source in sources)
    policies = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_the_page_holds_every_table_the_mistakes_and_the_suspicious_labels(tmp_path: Path) -> None:
    text = _page(tmp_path).text
    for part in (
        "All rows",
        "Frequent categories",
        "Robustness",
        "Parents",
        "Attributes",
        "Unknown products",
        "Similar products",
        "By category",
    ):
        assert part in text
    assert "0.988" in text and "Red tie" in text
    assert "There are none." in text.partition("Surest mistakes")[0]
    assert "There are none." not in text.partition("Surest mistakes")[2]


def test_a_row_without_photo_or_title_says_so(tmp_path: Path) -> None:
    page = _page(tmp_path, surest=[Mistake("1", "", "Ties", "Belts", 0.5, "")])
    assert "no photo" in page.text and "no title" in page.text
    assert not [attributes for tag, attributes in page.elements if attributes.get("src") == ""]


def test_csv_has_a_row_for_each_category_with_rows(tmp_path: Path) -> None:
    rows = list(csv.DictReader(report.as_csv(_evaluation(names=["Belts, wide", "Ties"])).splitlines()))
    assert rows == [
        {
            "category": "Belts, wide",
            "products": "0",
            "rows": "3",
            "precision": "1.0",
            "recall": "0.666667",
            "f1": "0.8",
            "confusion": "Ties",
            "confused_rows": "1",
        }
    ]


def test_the_same_evaluation_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        report.write(tmp_path / name, _evaluation())
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["categories.csv", "confusion.png", "evaluation.json", "index.html", "reliability.png"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_json_is_sorted_rounded_and_has_no_nan() -> None:
    text = report.as_json(_evaluation(figures=figures(extra={"b": 1 / 3, "a": 1})))
    assert json.loads(text)["extra"] == {"a": 1, "b": 0.333333}
    assert text.index('"a": 1') < text.index('"b": 0.333333')
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        report.as_json(_evaluation(figures=figures(extra=float("nan"))))
