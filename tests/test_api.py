"""The public API: six names that load when they are used, examples that run, and sessions left as they were."""

from __future__ import annotations

import doctest
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import fashion_udf as fu
from fashion_udf import api
from fashion_udf.errors import ConfigError, EnvironmentUnsupportedError
from fashion_udf.schema import TAG
from fashion_udf.table import tags_table
from tests.submit import REPOSITORY

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _jpeg(colour: str = "navy") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (60, 80), colour).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """A catalog of two products, and where its table goes."""
    (tmp_path / "in").mkdir()
    texts = ["Blue jeans for men. Jeans by Levis, casual.", "Titan women silver dial watch. Watches by Titan."]
    rows = {"product_id": ["a", "b"], "title": texts, "image": pa.array([_jpeg(), None], pa.binary())}
    pq.write_table(pa.table(rows), tmp_path / "in" / "part.parquet")
    return {"catalog": str(tmp_path / "in"), "output": str(tmp_path / "out")}


def test_the_exported_names_are_those_of_the_api_sorted_and_complete() -> None:
    assert fu.__all__ == api.__all__ == sorted(fu.__all__)
    assert all(getattr(fu, name) is getattr(api, name) for name in fu.__all__)
    assert {*fu.__all__, "__version__"} <= {*dir(fu)}


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match="no attribute 'tag'; it has Tagger, TagsTable, load_bundle, load_config"):
        fu.tag  # noqa: B018


def test_importing_the_package_loads_nothing_that_takes_time() -> None:
    heavy = ("tensorflow", "openvino", "pyspark", "boto3", "pandas", "pyarrow", "numpy", "pydantic")
    program = f"import sys, fashion_udf; sys.stdout.write(str(sorted({heavy!r} & sys.modules.keys())))"
    program = program.replace(f"{heavy!r}", f"set({heavy!r})")
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "[]"


def test_a_missing_package_names_the_extra_to_install() -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "import fashion_udf\n"
        "try: fashion_udf.load_bundle\n"
        "except ImportError as error: sys.stdout.write(str(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert "pip install 'fashion-udf[spark,openvino]'" in done.stdout


def test_the_examples_in_the_docstrings_run(
    spark: SparkSession, places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    shown = {}
    for module in (api, tags_table):  # the table's examples read what those of the job published
        for example in doctest.DocTestFinder().find(module, globs={"spark": spark, **places}):
            shown[example.name.rpartition(".")[2]] = len(example.examples)
            runner.run(example)
    assert runner.summarize().failed == 0
    examples = {name for name, count in shown.items() if count}
    assert examples == {"load_bundle", "load_config", "tag_udf", "tag_catalog", "TagsTable"}


def test_the_example_of_the_readme_runs(
    spark: SparkSession, places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", readme, flags=re.DOTALL | re.MULTILINE)
    example = example.replace("/data/catalog", places["catalog"]).replace("/data/tags", places["output"])
    monkeypatch.chdir(REPOSITORY)
    rows = [("7", "Blue jeans", None, _jpeg())]
    frame = spark.createDataFrame(rows, "sku string, title string, description string, image binary")
    names: dict[str, Any] = {"spark": spark, "df": frame}
    exec(compile(example, "README.md", "exec"), names)
    assert [row["status"] for row in names["tagged"].collect()] == ["ok"]
    assert names["outcome"].published and len(names["table"].to_pandas()) == 2


def test_the_notebook_runs(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = json.loads((REPOSITORY / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 5
    monkeypatch.chdir(tmp_path)
    stop, names = spark.stop, dict[str, Any]()
    monkeypatch.setattr(spark, "stop", lambda: None)  # the session of all tests
    for cell in cells:
        exec(compile(cell, "docs/notebook.ipynb", "exec"), names)
    assert names["table"].current().number == 1
    assert stop is not spark.stop


def test_any_data_frame_is_tagged_and_the_struct_has_the_documented_columns(spark: SparkSession) -> None:
    rows = [("7", "Blue jeans", None, _jpeg()), ("8", None, None, b"no photo"), ("9", None, None, None)]
    frame = spark.createDataFrame(rows, "sku string, title string, description string, image binary")
    tag = fu.tag_udf(spark, fu.load_bundle("builtin"), top_k=2)
    tagged = frame.withColumn("tag", tag("title", "description", "image")).select("sku", "tag.*")
    assert tagged.columns == ["sku", *TAG.names]
    found = {row["sku"]: row for row in tagged.collect()}
    assert {name: row["status"] for name, row in found.items()} == {
        "7": "ok",
        "8": "image_unsupported",
        "9": "image_none",
    }
    assert len(found["7"]["embedding"]) == 256 and len(found["7"]["top_categories"]) == 2
    assert found["7"]["model_version"] == fu.load_bundle("builtin").version
    assert found["8"]["category"] is None and found["9"]["decision"] == "abstain"


def test_the_udf_and_the_tagger_say_the_same_of_a_product(spark: SparkSession) -> None:
    bundle = fu.load_bundle("builtin")
    frame = spark.createDataFrame([("Red shirt", "For men", _jpeg("red"))], "t string, d string, p binary")
    (there,) = frame.select(fu.tag_udf(spark, bundle)("t", "d", "p").alias("tag")).select("tag.*").collect()
    here = fu.Tagger(bundle).tag(title="Red shirt", description="For men", image=_jpeg("red"))
    same = ("category", "decision", "modality", "status", "error", "image_sha256", "model_version")
    assert {name: there[name] for name in same} == {name: here[name] for name in same}
    assert there["confidence"] == pytest.approx(here["confidence"], abs=1e-4)
    assert there["embedding"] == pytest.approx(here["embedding"].tolist(), abs=1e-4)


def test_no_call_leaves_a_setting_of_the_session_changed(spark: SparkSession, places: dict[str, str]) -> None:
    mine = {
        "spark.sql.ansi.enabled": "false",
        "spark.sql.session.timeZone": "Asia/Tokyo",
        "spark.sql.parquet.compression.codec": "snappy",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "77",
    }
    settings = {"input.path": places["catalog"], "output.path": places["output"]}
    config = fu.load_config(REPOSITORY / "conf" / "nightly.yaml", settings)
    before = {key: spark.conf.get(key) for key in mine}
    try:
        for key, value in mine.items():
            spark.conf.set(key, value)
        kept = spark.sql("SET").collect()
        fu.tag_udf(spark, fu.load_bundle("builtin"))
        assert fu.tag_catalog(spark, config).published
        assert not fu.tag_catalog(spark, config).published
        config = fu.load_config(REPOSITORY / "conf" / "nightly.yaml", {**settings, "bundle": "nowhere"})
        with pytest.raises(fu.api.bundles.BundleError):
            fu.tag_catalog(spark, config)
        assert {key: spark.conf.get(key) for key in mine} == mine
        assert {row["key"]: row["value"] for row in kept}.items() <= {
            row["key"]: row["value"] for row in spark.sql("SET").collect()
        }.items()
    finally:
        for key, value in before.items():
            spark.conf.set(key, value)
    tagged_at = fu.TagsTable(places["output"]).to_pandas(columns=["tagged_at"])["tagged_at"]
    assert str(tagged_at.dt.tz) == "UTC"


def test_overrides_are_values_by_dotted_key() -> None:
    config = fu.load_config(
        REPOSITORY / "conf" / "nightly.yaml",
        {"input.path": "in", "output.path": "out", "engine": {"name": "tensorflow"}, "engine.batch_size": 4},
    )
    assert (config.engine.name, config.engine.batch_size) == ("tensorflow", 4)
    with pytest.raises(ConfigError, match="engine.nmae: unknown key"):
        fu.load_config(REPOSITORY / "conf" / "nightly.yaml", {"engine.nmae": "openvino"})


def test_a_spark_connect_session_is_refused() -> None:
    class Connect:
        version = "4.0.0"

    with pytest.raises(
        EnvironmentUnsupportedError, match="Expected a classic Spark session .* Received: Spark Connect"
    ):
        fu.tag_udf(Connect(), fu.load_bundle("builtin"))  # type: ignore[arg-type]
