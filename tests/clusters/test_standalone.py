"""The command for a standalone cluster: a master and two workers, executors whose Python has nothing installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.clusters import documented
from tests.servers import jars


@pytest.mark.usefixtures("archive")
def test_the_command_of_the_page_publishes_the_catalog(standalone: str, bare_python: Path, tmp_path: Path) -> None:
    expected = documented.write_catalog(tmp_path / "catalog")
    (words,) = documented.commands("Standalone")
    places = {
        "spark://master:7077": standalone,
        "/shared/catalog": str(tmp_path / "catalog"),
        "/shared/tags": str(tmp_path / "tags"),
        "=python3.11": f"={bare_python}",
        ".venv/bin/python": sys.executable,
    }
    local = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    documented.finish(documented.start(words, places, {"JAVA_HOME": str(jars.java_home())}, local))
    assert documented.statuses(str(tmp_path / "tags")) == expected
