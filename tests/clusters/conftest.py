"""What every cluster is given: the archive of `make dist`, and a Python that has nothing installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.clusters import documented
from tests.servers.hadoop import Hdfs, hadoop_process, hdfs, yarn
from tests.servers.standalone import standalone
from tests.submit import REPOSITORY

__all__ = ["hadoop_process", "hdfs", "standalone", "yarn"]


@pytest.fixture(scope="session")
def archive() -> Path:
    """dist/env.tar.gz of this checkout."""
    subprocess.run(["make", "dist"], cwd=REPOSITORY, check=True, capture_output=True)
    return REPOSITORY / "dist" / "env.tar.gz"


@pytest.fixture(scope="session")
def archive_on_hdfs(archive: Path, hdfs: Hdfs) -> str:
    """The URI of the same archive on HDFS: node managers keep what they have unpacked of it."""
    uri = f"{hdfs.uri}/apps/env.tar.gz"
    hdfs.put(archive, uri)
    return uri


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has nothing installed."""
    return documented.bare_python(tmp_path_factory.mktemp("bare"))
