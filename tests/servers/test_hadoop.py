"""HDFS and YARN as the tests start them."""

from __future__ import annotations

import re
from pathlib import Path

import pyspark

from tests.servers import jars
from tests.servers.hadoop import Hdfs, Yarn, hadoop_process, hdfs, yarn
from tests.submit import REPOSITORY

__all__ = ["hadoop_process", "hdfs", "yarn"]


def test_locked_jars_are_of_the_version_of_sparks_own_hadoop_client() -> None:
    (client,) = (Path(pyspark.__file__).parent / "jars").glob("hadoop-client-api-*.jar")
    version = client.stem.removeprefix("hadoop-client-api-")
    lock = (REPOSITORY / ".ci" / "jars.lock").read_text()
    assert set(re.findall(r"org\.apache\.hadoop:[a-z-]+:(\S+)", lock)) == {version}


def test_every_locked_jar_is_there_or_the_test_says_why_not() -> None:
    assert all(path.is_file() for path in jars.needed("s3a"))


def test_a_file_comes_back_from_hdfs_as_it_was(hdfs: Hdfs, tmp_path: Path) -> None:
    folder = hdfs.new_folder()
    assert hdfs.names(folder) == []
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.txt").write_text("word")
    hdfs.put(tmp_path / "here", folder)
    assert hdfs.names(folder) == ["a.txt"]
    hdfs.get(f"{folder}/a.txt", tmp_path / "back.txt")
    assert (tmp_path / "back.txt").read_text() == "word"


def test_two_node_managers_wait_for_work(yarn: Yarn) -> None:
    assert yarn.cluster.getResourceManager().getResourceScheduler().getNumClusterNodes() == 2
    assert "yarn.resourcemanager.address" in (yarn.conf_dir / "yarn-site.xml").read_text()
