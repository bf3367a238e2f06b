"""A disk that is full in the middle of a night: one line names it, and the next night publishes."""

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

from fashion_udf.config import JobConfig, Output
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


#: What the line says of the full disk, by whose it is.
LINES = {
    "Spark": r"Spark's temporary files in {} \(spark\.local\.dir\)\. Received: No space left on device, on .*\. Free "
    r"space there, or set spark\.local\.dir to a larger disk, before Spark starts",
    "output": r"the table in {}/out \(output\.path\)\. Received: No space left on device.*\. Free space there",
}


@pytest.mark.soak
@pytest.mark.parametrize("whose", LINES)
@pytest.mark.parametrize("from_its_start", CASES.values(), ids=CASES)
def test_a_night_on_a_full_disk_ends_with_the_name_of_the_disk_and_the_next_night_publishes(
    spark: SparkSession, small_disk: Path, tmp_path: Path, from_its_start: bool, whose: str
) -> None:
    output = (small_disk if whose == "output" else tmp_path) / "out"
    shop = Shop(random.Random(7))
    shop.add(20)
    tagging.tag(spark, _written(shop, tmp_path, output))
    old = held(str(output))
    shop.change(6)
    shop.add(4)
    settings = _written(shop, tmp_path, output)
    told = yaml.safe_dump(settings.model_dump(mode="json", exclude_unset=True))
    (tmp_path / "job.yaml").write_text(told, encoding="utf-8")

    def fill() -> None:
        if from_its_start or [*(output / "staging").glob("*/plan-0/*.parquet")]:
            _fill(small_disk)

    local_dir = small_disk if whose == "Spark" else tmp_path
    with repeated(fill, 0.01, "full disk"):
        result = submit(
            *("tag_catalog", "--config", str(tmp_path / "job.yaml")),
            options=["--master", "local[2]", "--conf", f"spark.local.dir={local_dir}"],
        )
    assert result.returncode == 1, result.stdout[-5000:]
    expected = f"error: Expected space for {LINES[whose].format(small_disk)}"
    rest = r"\. The published table is whole, and the next run uses what is scored"
    assert re.fullmatch(expected + rest, error_line(result)), error_line(result)
    ended = [json.loads(path.read_text()) for path in (output / "runs").glob("*/outcome.json")]
    assert sorted(each["exit_code"] for each in ended) == ([0] if whose == "output" else [0, 1])
    assert held(str(output)) == old
    (small_disk / "of others").unlink()
    tagging.tag(spark, settings)
    require_rows(held(str(output)), shop.expected())


def _written(shop: Shop, folder: Path, output: Path) -> JobConfig:
    """Write the shop's catalog to a folder; return the settings of a night on it with another output."""
    return shop.write(folder).model_copy(update={"output": Output(path=str(output))})
