"""docs/clusters.md and what it names are true as far as can be told without those clusters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from fashion_udf import config
from fashion_udf.config import JobConfig
from tests.submit import REPOSITORY

PAGE = (REPOSITORY / "docs" / "clusters.md").read_text(encoding="utf-8")
MANIFEST = list(yaml.safe_load_all((REPOSITORY / "conf" / "spark_application.yaml").read_text(encoding="utf-8")))
(APPLICATION,) = [each["spec"] for each in MANIFEST if each["kind"] == "SparkApplication"]


def _version(package: str) -> str:
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    (version,) = re.findall(rf"^{package}==(\S+)", lock, flags=re.MULTILINE)
    return str(version)


def test_each_place_says_whether_it_was_run() -> None:
    for name in re.findall(r"^## (.*)$", PAGE, flags=re.MULTILINE)[1:]:
        assert name in ("YARN", "Standalone") or name.endswith("(not run here)"), name


def test_every_file_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:tests|conf|jobs|docs)/[\w./]+)`", PAGE))
    assert named and [name for name in named if not (REPOSITORY / name).exists()] == []


@pytest.mark.parametrize("text", [PAGE, str(APPLICATION["arguments"])], ids=["page", "manifest"])
def test_every_key_that_is_set_is_one_of_the_configuration(text: str) -> None:
    words = re.findall(r"\b((?:input|output)\.\w+=[^\s\"',\]]+)", text)
    assert words
    nightly = config.load(JobConfig, REPOSITORY / "conf" / "nightly.yaml", config.parse_overrides(words))
    assert nightly.input.path != "catalog"


def test_driver_and_executors_have_the_role_and_no_key() -> None:
    (account,) = [each["metadata"] for each in MANIFEST if each["kind"] == "ServiceAccount"]
    assert "eks.amazonaws.com/role-arn" in account["annotations"]
    assert APPLICATION["driver"]["serviceAccount"] == APPLICATION["executor"]["serviceAccount"] == account["name"]
    assert re.search("(?i)secret|access.key|password", str(MANIFEST)) is None


def test_the_image_has_the_spark_of_the_lock_and_the_python_of_the_archive() -> None:
    image = Path(REPOSITORY / "conf" / "Dockerfile").read_text(encoding="utf-8")
    assert f"FROM apache/spark:{_version('pyspark')}-" in image
    assert APPLICATION["sparkVersion"] == _version("pyspark")
    assert "FROM python:3.11-" in image
    copied = re.findall(r"^(?:COPY|ADD) ((?:jobs|conf)\S*)", image, flags=re.MULTILINE)
    assert copied and all((REPOSITORY / name).exists() for name in copied)
