"""The commands of docs/clusters.md as a person would type them, with this machine's places in place of the page's."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pyspark

from fashion_udf.samples import catalog
from fashion_udf.table import paths, snapshot
from tests.submit import REPOSITORY, SPARK_SUBMIT

PAGE = (REPOSITORY / "docs" / "clusters.md").read_text(encoding="utf-8")
ROWS = 24
#: A run takes a minute where nothing else runs.
SECONDS = int(os.environ.get("CLUSTER_TIMEOUT", "500"))
#: Only what the size of this machine asks for, and that its nodes share one folder of Spark's jars.
HERE = {
    "spark.ui.enabled": "false",
    "spark.executor.cores": "1",
    "spark.executor.instances": "2",
    "spark.yarn.jars": f"local:{Path(pyspark.__file__).parent / 'jars'}/*",
    "spark.sql.files.maxPartitionBytes": "65536",
    "spark.sql.shuffle.partitions": "2",
    "spark.driver.defaultJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseParallelGC",
    "spark.executor.defaultJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseParallelGC",
    "spark.yarn.am.memory": "512m",
}


def commands(heading: str) -> list[list[str]]:
    """Return the spark-submit commands below a heading of the page, as words."""
    section = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith(f"{heading}\n")]
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)).replace("\\\n", " ")
    return [shlex.split(line) for line in blocks.splitlines() if line.startswith("spark-submit ")]


def bare_python(folder: Path) -> Path:
    """Make an environment with nothing in it, and return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    for package in ("fashion_udf", "openvino", "PIL", "pandas", "pyarrow", "pyspark"):
        found = subprocess.run([python, "-I", "-c", f"import {package}"], capture_output=True, check=False, cwd=folder)
        assert found.returncode != 0, f"{package} must come from the archive alone"
    return python


def write_catalog(folder: Path, rows: int = ROWS) -> dict[str, str]:
    """Write generated products with their photos, and return the status that each must get, by id."""
    products = list(catalog.products(rows, seed=3))
    names = ("product_id", "title", "description", "image")
    folder.mkdir()
    table = pa.table({name: [getattr(product, name) for product in products] for name in names})
    pq.write_table(table, folder / "part.parquet", row_group_size=4)
    return {product.product_id: "ok" if product.title else "text_missing" for product in products}


def start(
    words: list[str], places: Mapping[str, str], environment: Mapping[str, str], conf: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start one command of the page in a checkout; all that it says is in its standard output.

    Args:
        words: of the command.
        places: the page's paths and names, and what stands here in place of each.
        environment: of the shell.
        conf: Spark settings beside `HERE`.
    """
    replaced = [re.sub("|".join(map(re.escape, places)), lambda found: places[found[0]], word) for word in words[1:]]
    settings = [f"--conf={key}={value}" for key, value in {**HERE, **(conf or {})}.items()]
    return subprocess.Popen(
        [str(SPARK_SUBMIT), *settings, *replaced],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment},
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a command that was started, and return what it said; it must succeed."""
    try:
        said, _ = process.communicate(timeout=SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, said[-5000:]
    return said


def statuses(output: str) -> dict[str, str]:
    """Return the status of each product of the published table, by id."""
    commit = snapshot.current(output)
    assert commit is not None
    table = ds.dataset(paths.data_dir(output, commit), format="parquet").to_table(columns=["product_id", "status"])
    assert len(set(table["product_id"].to_pylist())) == table.num_rows
    return dict(zip(table["product_id"].to_pylist(), table["status"].to_pylist(), strict=True))
