"""Packaging and tooling: the Makefile's help, the lock's hashes, the spark-submit wrapper, and the wheel's files."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import IN_BOTH, ONLY_TRAINING, runs_elsewhere
from tests.submit import REPOSITORY

ROW_JOB = """
import sys
from pyspark.sql import SparkSession
from pyspark.sql.functions import udf
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
sys.stdout.write(spark.range(1).select(udf(lambda i: sys.executable)("id")).first()[0])
"""
FLAGS_JOB = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
beans = spark.sparkContext._jvm.java.lang.management.ManagementFactory
sys.stdout.write(str(beans.getRuntimeMXBean().getInputArguments()))
"""
LOCKS = ("requirements.lock", "requirements-training.lock")


def run_bare(command: list[str | Path], home: Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as on a fresh machine: no environment variables but PATH and an empty HOME."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), **variables}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=110, check=False)


def lay_out_environment(folder: Path) -> Path:
    """Returns a spark-submit wrapper in folder/.venv/bin beside links to the running environment."""
    environment = folder / ".venv"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(Path(sys.executable))
    (environment / "lib").symlink_to(Path(sys.prefix) / "lib")
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", environment)
    shutil.copy(REPOSITORY / ".ci" / "java_home.sh", environment / "bin" / "java-home")
    return Path(shutil.copy(REPOSITORY / ".ci" / "spark_submit.sh", environment / "bin" / "spark-submit"))


def test_make_without_a_target_prints_the_help(tmp_path: Path) -> None:
    result = run_bare(["make", "-C", REPOSITORY], tmp_path, tmp_path)
    assert result.returncode == 0, result.stderr
    listed = re.findall(r"^make ([\w-]+) +\S", result.stdout, flags=re.MULTILINE)
    build = ["docs", "lock", "dist", "clean"]
    assert listed == ["help", "env", "env-training", "demo", "pictures", "test", "check", "bench", "soak", *build]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_requirement_has_a_version_and_a_hash(lock: str) -> None:
    blocks = re.split(r"^(?=[A-Za-z0-9])", _text(lock), flags=re.MULTILINE)[1:]
    assert len(blocks) > 50
    pinned = re.compile(r"[\w.\[\]-]+==\S+ (; .+ )?\\\n +--hash=sha256:")
    assert [block.splitlines()[0] for block in blocks if not pinned.match(block)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_url_no_index_and_no_path(lock: str) -> None:
    text = _text(lock)
    assert re.findall(r"^.*(?:://|--index|--extra-index|--find-links|/\w+/).*$", text, flags=re.MULTILINE) == []


def test_the_locks_hold_what_their_extras_ask_for_and_scoring_nothing_of_training() -> None:
    metadata = _text("setup.py")
    both = _required(metadata, r"BASE = \[") | _required(metadata, r'"dev": \[') | {"openvino", "rich", "pyspark"}
    tensorflow = {"tensorflow", "keras"}
    scoring, training = map(_locked, LOCKS)
    assert both - scoring.keys() == set()
    assert (both | _required(metadata, r'"training": \[') | tensorflow) - training.keys() == set()
    assert not scoring.keys() & (tensorflow | {"petastorm", "nncf", "scikit-learn", "daft", "getdaft"})
    assert scoring["pyspark"] >= (4, 3) and scoring["pyarrow"] >= (26,) and scoring["numpy"] >= (2, 4)
    # numpy 2.5 has no wheel for Python 3.11, pandas 3 is another interface.
    assert scoring["numpy"] < (2, 5) and scoring["pandas"] < (3,)


def test_the_extra_for_gpus_is_that_of_training_with_tensorflows_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr("setuptools.setup", lambda **arguments: given.update(arguments))
    runpy.run_path(str(REPOSITORY / "setup.py"))
    extras = given["extras_require"]
    (cuda,) = {*extras["training-gpu"]} - {*extras["training"]}
    assert re.fullmatch(r"tensorflow\[and-cuda\]>=2\.\d+", cuda)
    assert cuda.replace("[and-cuda]", "") in extras["training"], "the same TensorFlow"


def _text(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def _required(metadata: str, start: str) -> set[str]:
    found = re.search(rf"{start}(.*?)^ *\]", metadata, flags=re.DOTALL | re.MULTILINE)
    assert found is not None
    return {name.lower() for name in re.findall(r'^ +"([A-Za-z0-9-]+)(?:[<>=][^"]*)?",', found[1], flags=re.MULTILINE)}


def _locked(lock: str) -> dict[str, tuple[int, ...]]:
    pins = re.findall(r"^([a-z0-9-]+)==([0-9.]+)", _text(lock), flags=re.MULTILINE)
    return {name: tuple(int(part) for part in version.strip(".").split(".")) for name, version in pins}


@pytest.mark.timeout(120)
def test_spark_submit_runs_a_python_function_under_a_path_with_a_space(tmp_path: Path) -> None:
    wrapper = lay_out_environment(tmp_path / "with space")
    job = tmp_path / "with space" / "row job.py"
    job.write_text(ROW_JOB, encoding="utf-8")
    link = tmp_path / "link to submit"
    link.symlink_to(os.path.relpath(wrapper, tmp_path))
    result = run_bare([link, job], tmp_path, tmp_path)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.strip() == str(wrapper.parent / "python")


@pytest.mark.parametrize("chosen", [{}, {"PYSPARK_PYTHON": "/chosen/python", "SPARK_CONF_DIR": "/chosen/conf"}])
def test_spark_submit_sets_four_variables_and_those_of_the_user_stay(tmp_path: Path, chosen: dict[str, str]) -> None:
    wrapper = lay_out_environment(tmp_path)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "spark-defaults.conf").touch()
    (wrapper.parents[1] / "lib").unlink()
    show = wrapper.parents[1] / "lib" / "python3.11" / "site-packages" / "pyspark" / "bin" / "spark-submit"
    show.parent.mkdir(parents=True)
    show.write_text('#!/bin/bash\necho "$*"; export -p | grep -oE "(SPARK|PYSPARK|JAVA)_.*"\n')
    show.chmod(0o755)
    result = run_bare([wrapper, "a b"], tmp_path, tmp_path, JAVA_HOME="/any", **chosen)
    arguments, *variables = result.stdout.splitlines()
    assert arguments == "a b"
    expected = {
        "JAVA_HOME": "/any",
        "SPARK_HOME": str(show.parents[1]),
        "PYSPARK_PYTHON": str(wrapper.parent / "python"),
        "SPARK_CONF_DIR": str(tmp_path / "conf"),
        **chosen,
    }
    assert dict(line.replace('"', "").split("=") for line in variables) == expected


@pytest.mark.timeout(120)
def test_the_defaults_of_the_checkout_reach_the_driver_and_give_way(tmp_path: Path) -> None:
    wrapper = lay_out_environment(tmp_path)
    shutil.copytree(REPOSITORY / "conf", tmp_path / "conf")
    job = tmp_path / "job.py"
    job.write_text(FLAGS_JOB, encoding="utf-8")
    result = run_bare([wrapper, "--driver-memory", "700m", job], tmp_path, tmp_path)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "-XX:+UseParallelGC" in result.stdout and "-Xmx700m" in result.stdout


def test_spark_submit_without_pyspark_says_what_to_run(tmp_path: Path) -> None:
    wrapper = lay_out_environment(tmp_path)
    (wrapper.parents[1] / "lib").unlink()
    result = run_bare([wrapper], tmp_path, tmp_path)
    assert result.returncode == 1
    assert re.fullmatch(r"Expected pyspark in the environment of .+ Received: no .+ Run: make env\n", result.stderr)


@pytest.mark.parametrize(
    ("version", "accepted"), [("17.0.2", True), ("21", True), ("25.0.1", False), ("1.8.0_1", False)]
)
def test_only_java_17_and_21_are_accepted(tmp_path: Path, version: str, accepted: bool) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/bash\necho 'openjdk version \"{version}\" 2026-01-01' >&2\n")
    java.chmod(0o755)
    result = run_bare([REPOSITORY / ".ci" / "java_home.sh"], tmp_path, tmp_path, JAVA_HOME=str(tmp_path))
    assert (result.stdout.strip() == str(tmp_path)) is accepted


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the checkout whose bundle has two files more, one of them deeper."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    for package in ("fashion_udf", "training"):
        shutil.copytree(REPOSITORY / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "LICENSE"):
        shutil.copy(REPOSITORY / name, tree)
    nested = tree / "fashion_udf" / "bundles" / "builtin" / "openvino"
    for file in (nested / "probe.bin", nested.parent / "probe.json"):
        file.write_bytes(b"probe")
    command = [
        sys.executable,
        "-m",
        "build",
        "--quiet",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(tree),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    return next(folder.glob("*.whl"))


@pytest.mark.timeout(120)
def test_the_wheel_holds_every_module_and_every_data_file_and_no_package_called_training(wheel: Path) -> None:
    tree = wheel.parent / "tree"
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = [file for name in ("fashion_udf", "training") for file in (tree / name).rglob("*") if file.is_file()]
    names = [file.relative_to(tree).as_posix() for file in files if "__pycache__" not in file.parts]
    assert packed == {re.sub(r"^training/", "fashion_training/", name) for name in names}


@pytest.mark.timeout(120)
def test_the_installed_wheel_has_a_command_and_training_under_its_own_name(wheel: Path, tmp_path: Path) -> None:
    # pip refuses a bundle that was changed; here it is only unpacked.
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
        (entry,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "fashion-udf = fashion_udf.commands.main:main" in archive.read(entry).decode()
    program = (
        "import sys; sys.path = [path for path in sys.path if path != sys.argv[1]]\n"
        "from fashion_udf.commands import training_set\n"
        "import fashion_udf\n"
        "sys.stdout.write(f'{fashion_udf.__file__} {training_set._training_set().__name__}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(REPOSITORY)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    expected = f"{tmp_path}/site/fashion_udf/__init__.py fashion_training.data.training_set"
    assert (done.stdout, done.returncode) == (expected, 0), done.stderr


def test_each_test_has_an_environment() -> None:
    assert [name for name in (*ONLY_TRAINING, *IN_BOTH) if not (REPOSITORY / name).exists()] == []
    here, there = REPOSITORY / "tests" / "table", REPOSITORY / "tests" / "training" / "test_train.py"
    assert (runs_elsewhere(here), runs_elsewhere(there)) == (False, True), "this file runs in .venv"
    assert not any(map(runs_elsewhere, (REPOSITORY, REPOSITORY / "tests", REPOSITORY / IN_BOTH[0])))
