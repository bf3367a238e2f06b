"""README and docs are true: their commands run, their options exist, and their tables are those of the code."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import yaml

from fashion_udf import config
from fashion_udf.commands.main import COMMANDS as COMMANDS_BY_NAME
from fashion_udf.config import JobConfig
from fashion_udf.photos.decode import ALLOWED_FORMATS
from fashion_udf.samples import catalog, parquet
from fashion_udf.schema import TAGS
from tests.submit import REPOSITORY, submit

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PAGES = {
    page.name: page.read_text(encoding="utf-8")
    for page in (REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md")))
}
#: Indented lines, with those joined that end in a backslash.
COMMANDS = [
    line.split(" #")[0].strip()
    for line in re.sub(r"\\\n\s+", "", "\n".join([README, *PAGES.values()])).splitlines()
    if re.match(r" {4,}(\.venv(-training)?/bin/|make |spark-submit )", line)
]
TRAINING_OR_MAKE = r"(\.venv-training/|make )"


def _submitted(script: str) -> list[list[str]]:
    return [
        words[words.index(f"jobs/{script}.py") + 1 :]
        for words in map(shlex.split, COMMANDS)
        if f"jobs/{script}.py" in words
    ]


def test_the_two_commands_are_targets_of_make() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    named = {command.split()[1] for command in COMMANDS if command.startswith("make ")}
    assert named >= {"demo", "test", "check", "dist"}
    assert [name for name in named if not re.search(rf"^{name}:", makefile, flags=re.MULTILINE)] == []


def test_the_tagging_command_and_the_query_below_it_give_the_table(tmp_path: Path) -> None:
    parquet.write(list(catalog.products(8, seed=2)), tmp_path / "catalog")
    places = {"/data/catalog": str(tmp_path / "catalog"), "/data/tags": str(tmp_path / "tags")}
    command = _submitted("tag_catalog")[0]
    arguments = [re.sub(r"/data/\w+", lambda found: places[found[0]], word) for word in command]
    result = submit("tag_catalog", *arguments, directory=REPOSITORY)
    assert result.returncode == 0, result.stdout
    queries = re.findall(r"^    D (SELECT .*;)$", README, flags=re.MULTILINE)
    assert queries
    with duckdb.connect() as connection:
        connection.execute((tmp_path / "tags" / "tags" / "current.sql").read_text(encoding="utf-8"))
        for query in queries:
            assert connection.execute(query).fetchall()


def test_the_configuration_of_a_catalog_is_accepted() -> None:
    (tree,) = map(yaml.safe_load, re.findall(r"^```yaml\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL))
    assert config.validate(JobConfig, tree, "README.md").input.columns.title == "name"


@pytest.mark.parametrize("command", [command for command in COMMANDS if not re.match(TRAINING_OR_MAKE, command)])
def test_every_option_of_a_command_is_in_its_help(command: str) -> None:
    assert options_not_in_help(command) == []


def options_not_in_help(command: str) -> list[str]:
    """Return the options of a command of the README that the program does not know; also for the tests of training."""
    words = shlex.split(command)
    if "-m" in words:
        program, rest = ["-m", words[words.index("-m") + 1]], words[words.index("-m") + 2 :]
    else:
        script = next(word for word in words if word.startswith("jobs/") or word.endswith("/fashion-udf"))
        program, rest = (
            [script] if script.startswith("jobs/") else ["-m", "fashion_udf"],
            words[words.index(script) + 1 :],
        )
        if not rest[0].startswith("--"):  # a subcommand has its own help
            program.append(rest.pop(0))
    shown = subprocess.run(
        [sys.executable, *program, "--help"],
        cwd=REPOSITORY,
        env={"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [word for word in rest if word.startswith("--") and word not in shown]


def test_every_command_is_listed_with_the_job_that_it_is() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| `jobs/(\w+)\.py` \|", README, flags=re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(COMMANDS_BY_NAME)
    for name, job in rows:
        text = (REPOSITORY / "jobs" / f"{job}.py").read_text(encoding="utf-8")
        assert f"`fashion-udf {name}` for spark-submit" in text
    assert len(rows) == len([*(REPOSITORY / "jobs").glob("*.py")])


def test_the_output_table_lists_every_column_in_order() -> None:
    table = PAGES["table.md"].split("## Columns")[1].split("\n## ")[0]
    columns = [
        name for row in re.findall(r"^\| (`.*?`) \|", table, flags=re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    ]
    assert columns == TAGS.names


def test_every_format_is_named() -> None:
    spoken = PAGES["catalogs.md"].replace("WebP", "WEBP")
    assert [name for name in ALLOWED_FORMATS if name not in spoken] == []
