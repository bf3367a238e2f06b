"""A whole evaluation of a tiny model: figures of the right rows, the same at a second time."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf.errors import CatalogError
from tests import tiny_model, training_set
from training import evaluate
from training.data import labelled_rows
from training.evaluation import evaluate_bundle, report
from training.evaluation.evaluate_bundle import Options


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Options:
    data = training_set.write(tmp_path_factory.mktemp("evaluated") / "data")
    return Options(str(tiny_model.directory()), data, "test", "openvino", "f32", neighbours=3, baseline=True)


def test_figures_are_over_rows_of_known_categories_and_repeat(options: Options) -> None:
    first, second = evaluate_bundle.evaluate(options), evaluate_bundle.evaluate(options)
    categories = labelled_rows.column(options.data / "test", "category")
    known = [name for name in categories if name in tiny_model.LABELS]
    assert 0 < len(known) < len(categories)
    figures = first.figures
    assert (figures["rows"], figures["unknown_rows"]) == (len(known), len(categories) - len(known))
    assert not figures["data"]["split_of_the_model"]
    assert first.confusion.sum() == figures["as_given"]["both"]["rows"] == len(known)
    assert sum(first.products.values()) == sum(training_set.COUNTS.values())
    assert figures["frequent"]["both"]["rows"] == sum(first.products[name] >= 10 for name in known)
    assert figures["forms"]["both"]["as_given"]["accuracy"] == figures["as_given"]["both"]["accuracy"]
    assert figures["forms"]["image"]["no_text"]["accuracy"] == figures["as_given"]["image"]["accuracy"]
    assert figures["novelty"]["text"]["other_products"]["unknown_rows"] == len(categories) - len(known)
    assert figures["attribute_baselines"].keys() == figures["attributes"].keys() == tiny_model.ATTRIBUTES.keys()
    assert figures["neighbours"].keys() == {"count", "category", "gender", "last_score"}
    assert report.as_json(first) == report.as_json(second)
    assert report.as_csv(first) == report.as_csv(second)


def test_more_titles_are_measured_each_alone(options: Options, tmp_path: Path) -> None:
    file = tmp_path / "titles.csv"
    file.write_text("id,title,category\n1,Red dress for women,Dresses\n2,Garden hose,Hoses\n3,Blue shirt,Shirts\n")
    evaluated = evaluate_bundle.evaluate(replace(options, neighbours=0, baseline=False, titles=file))
    titles = evaluated.figures["titles"]
    assert titles["known"]["rows"] == 2 and titles["novelty"]["unknown_rows"] == 1
    report.write(tmp_path / "report", evaluated)
    assert "More titles, each alone" in (tmp_path / "report" / "index.html").read_text()


def test_mistakes_are_wrong_rows_with_their_own_titles_and_photos(options: Options) -> None:
    evaluated = evaluate_bundle.evaluate(replace(options, neighbours=0, baseline=False))
    assert evaluated.figures["neighbours"] is None and evaluated.figures["baseline"] is None
    rows = {row["product_id"]: row for row in pq.read_table(options.data / "test").to_pylist()}
    assert len(evaluated.surest) == evaluated.confusion.sum() - evaluated.confusion.trace()
    assert [row.confidence for row in evaluated.surest] == sorted(row.confidence for row in evaluated.surest)[::-1]
    for row in [*evaluated.surest, *evaluated.suspicious]:
        assert row.label == rows[row.product_id]["category"] != row.predicted
        assert row.title == rows[row.product_id]["text"].partition("\n")[0]
        assert bool(row.photo) == bool(rows[row.product_id]["image"])


def test_a_training_set_of_unknown_categories_is_refused(options: Options, tmp_path: Path) -> None:
    shutil.copytree(options.data, tmp_path / "data")
    file = tmp_path / "data" / "test" / "part-0.parquet"
    table = pq.read_table(file)
    other = pa.array(["Umbrellas"] * len(table))
    pq.write_table(table.set_column(3, table.schema.field("category"), other), file)
    with pytest.raises(CatalogError, match=r"Expected a row of one of the model's 3 categories. Received: 16 rows"):
        evaluate_bundle.evaluate(replace(options, data=tmp_path / "data"))


def test_a_negative_number_of_neighbours_is_refused_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["evaluate", "--data", "nowhere", "--neighbours", "-1"])
    with pytest.raises(SystemExit) as stopped:
        evaluate.main()
    assert stopped.value.code == 2
    assert "Expected --neighbours to be 0 or more. Received: -1" in capsys.readouterr().err
