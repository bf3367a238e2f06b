"""The queries of the demo: printed, run on the current snapshot, and right."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf.commands import show
from fashion_udf.errors import EnvironmentUnsupportedError, InputError
from fashion_udf.schema import TAGS
from fashion_udf.table import s3_store
from tests.servers.s3 import BUCKET, S3Server
from tests.tables import publish_staged


def _row(
    product_id: str, category: str | None, confidence: float | None, status: str, modality: str
) -> dict[str, object]:
    required = {field.name: "" for field in TAGS if field.type == pa.string() and not field.nullable}
    chosen = {"product_id": product_id, "category": category, "confidence": confidence, "status": status}
    decision = "abstain" if category is None else "auto"
    return {**required, **chosen, "modality": modality, "decision": decision, "tagged_at": datetime.now(UTC)}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    staged = tmp_path / "staging/r"
    staged.mkdir(parents=True)
    rows = [_row(f"p{i:02d}", "Shirts", 0.9 - i / 100, "ok", "both") for i in range(12)]
    rows += [_row("none", None, None, "image_missing", "none"), _row("007\x1b[2J", "Shoes", 0.25, "image_none", "text")]
    pq.write_table(pa.Table.from_pylist(rows, TAGS), staged / "part-00000.parquet")
    publish_staged(tmp_path, staged, "r", expected_rows=14, parent=None)
    return tmp_path


def test_it_shows_each_query_above_its_result(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show.main(["--output", str(output)])
    text = capsys.readouterr().out
    for heading, sql in show.QUERIES.items():
        assert f"\n{heading}\n\n{sql}\n\n" in text
    assert "Shirts    ok                   12\n" in text
    assert "null      image_missing         1\n" in text
    assert "abstain   none             1             null\n" in text
    last = text.splitlines()[-10:]
    assert last[0].split() == ["007\\x1b[2J", "Shoes", "0.250", "image_none", "auto"]
    assert last[1].split()[:3] == ["p11", "Shirts", "0.790"]
    assert last[9].split()[0] == "p03"


def test_an_output_on_s3_is_shown_where_the_configuration_says_s3_is(
    output: Path, s3_server: S3Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in (path for path in output.rglob("*") if path.is_file() and not path.is_symlink()):
        s3_server.put(f"shown/{file.relative_to(output)}", file.read_bytes())
    job = {"input": {"path": "catalog"}, "output": {"path": f"s3://{BUCKET}/shown"}}
    (output / "job.yaml").write_text(json.dumps({**job, "s3": s3_server.direct.model_dump()}))
    monkeypatch.setattr(s3_store, "_settings", s3_store.settings())  # put back at the end
    show.main(["--output", str(output)])
    local = capsys.readouterr().out
    show.main(["--output", job["output"]["path"], "--config", str(output / "job.yaml")])
    assert capsys.readouterr().out == local[local.index("\nProducts by category") :]


def test_the_printed_queries_can_be_copied(output: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute((output / "tags/current.sql").read_text())
        for sql in show.QUERIES.values():
            assert connection.execute(sql).fetchall()


def test_an_output_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Expected a published tags table in --output\. Received: .*current\.sql"):
        show.main(["--output", str(tmp_path)])


def test_a_missing_duckdb_names_the_extra(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(EnvironmentUnsupportedError, match=r"Expected duckdb: install 'fashion-udf\[dev\]'"):
        show.main(["--output", str(output)])
