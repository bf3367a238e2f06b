"""A disk of Spark's that is full in the middle of a night: one line names it, and the next night publishes."""

from __future__ import annotations

import contextlib
import json
import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from fashion_udf.pipeline import tagging
from fashion_udf.repeated import repeated
from tests.nights import Shop, held
from tests.soak import SOAK, require_rows
from tests.submit import error_line, submit

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory with a disk of its own, of 32 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def _fill(disk: Path) -> None:
    """Take all space that is left."""
    with contextlib.suppress(OSError), open(disk / "of others", "ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))


#: Whether the disk is full from the start, or from when rows are scored.
CASES = {"when it scores": False, **({"from its start": True} if SOAK else {})}


@pytest.mark.soak
@pytest.mark.parametrize("from_its_start", CASES.values(), ids=CASES)
def test_a_night_whose_local_directory_is_full_ends_with_its_name_and_the_next_one_publishes(
    spark: SparkSession, small_disk: Path, tmp_path: Path, from_its_start: bool
) -> None:
    shop = Shop(random.Random(7))
    shop.add(20)
    tagging.tag(spark, shop.write(tmp_path))
    old = held(str(tmp_path / "out"))
    shop.change(6)
    shop.add(4)
    settings = shop.write(tmp_path)
    told = yaml.safe_dump(settings.model_dump(mode="json", exclude_unset=True))
    (tmp_path / "job.yaml").write_text(told, encoding="utf-8")

    def fill() -> None:
        if from_its_start or [*(tmp_path / "out" / "staging").glob("*/plan-0/*.parquet")]:
            _fill(small_disk)

    with repeated(fill, 0.01, "full disk"):
        result = submit(
            *("tag_catalog", "--config", str(tmp_path / "job.yaml")),
            options=["--master", "local[2]", "--conf", f"spark.local.dir={small_disk}"],
        )
    assert result.returncode == 1, result.stdout[-5000:]
    expected = (
        rf"error: Expected space for Spark's temporary files in {small_disk} \(spark\.local\.dir\)\. Received: No "
        r"space left on device, on .*\. Free space there, or set spark\.local\.dir to a larger disk, before Spark "
        r"starts\. Nothing was published, and the next run uses what is scored"
    )
    assert re.fullmatch(expected, error_line(result)), error_line(result)
    ended = [json.loads(path.read_text()) for path in (tmp_path / "out" / "runs").glob("*/outcome.json")]
    assert sorted(each["exit_code"] for each in ended) == [0, 1]
    assert held(str(tmp_path / "out")) == old
    tagging.tag(spark, settings)
    require_rows(held(str(tmp_path / "out")), shop.expected())
