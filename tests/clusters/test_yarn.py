"""The two commands for YARN: catalog and photos on HDFS, executors whose Python has nothing installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.clusters import documented
from tests.servers.hadoop import Yarn

#: Where the table is written: `local`, a folder that all nodes see, or `hdfs`, once the job can write there.
OUTPUT = "local"


@pytest.mark.parametrize("words", documented.commands("YARN"), ids=["client", "cluster"])
def test_a_command_of_the_page_publishes_the_catalog(
    words: list[str], yarn: Yarn, archive_on_hdfs: str, bare_python: Path, tmp_path: Path
) -> None:
    expected = documented.write_catalog(tmp_path / "catalog")
    folder = yarn.hdfs.new_folder()
    yarn.hdfs.put(tmp_path / "catalog", f"{folder}/catalog")
    output = str(tmp_path / "tags") if OUTPUT == "local" else f"{folder}/tags"
    places = {
        "hdfs:///apps/env.tar.gz": archive_on_hdfs,
        "hdfs:///data/catalog": f"{folder}/catalog",
        "/shared/tags": output,
        "=python3.11": f"={bare_python}",
        ".venv/bin/python": sys.executable,
    }
    # Until then a path without a scheme means HDFS to Spark, and this machine's disk to Python.
    local = {"spark.hadoop.fs.defaultFS": "file:///", "spark.yarn.stagingDir": f"{folder}/staging"}
    result = documented.run(words, places, yarn.environment(), local if OUTPUT == "local" else {})
    assert result.returncode == 0, result.stdout[-5000:] + yarn.last_words()
    assert documented.statuses(output) == expected
    (outcome,) = (tmp_path / "tags" / "runs").glob("*/outcome.json")
    assert json.loads(outcome.read_text())["exit_code"] == 0
