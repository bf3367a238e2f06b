"""The job that writes the generated catalog, run as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashion_udf.commands import sample
from fashion_udf.errors import InputError
from fashion_udf.samples import parquet
from fashion_udf.samples.catalog import CATEGORIES, broken_products, products
from tests.conftest import REPOSITORY

PRODUCTS = 26


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(REPOSITORY / "jobs" / "make_sample_catalog.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("sample")
    sheet = ("--contact-sheet", str(folder / "sheet.png"))
    return folder, _run("--output", str(folder / "catalog"), "--products", str(PRODUCTS), "--seed", "3", *sheet)


def _table(folder: Path) -> pa.Table:
    return pa.concat_tables(pq.read_table(path) for path in sorted(folder.glob("*.parquet")))


def test_it_says_what_it_wrote(written: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, result = written
    assert (result.returncode, result.stderr) == (0, "")
    odd = len(list(broken_products(3)))
    first, second = result.stdout.splitlines()
    assert first.startswith(
        f"Wrote {PRODUCTS} products of 12 categories and {odd} broken or odd ones to {folder}/catalog"
    )
    assert "4 Parquet files" in first
    assert second == f"Wrote an overview of the pictures to {folder}/sheet.png."


def test_the_files_hold_exactly_the_products_of_the_seed(
    written: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    rows = {row["product_id"]: row for row in _table(written[0] / "catalog").to_pylist()}
    expected = [*products(PRODUCTS, 3), *broken_products(3)]
    assert len(rows) == len(expected)
    for product in expected:
        row = rows[product.product_id]
        assert (row["title"], row["description"]) == (product.title, product.description)
        assert (row["image"], row["category"]) == (product.image, product.category)


def test_the_catalog_has_four_files_of_one_schema(written: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    paths = sorted((written[0] / "catalog").iterdir())
    assert [path.name for path in paths] == [f"part-{number:05d}.parquet" for number in range(4)]
    for path in paths:
        schema = pq.read_schema(path)
        assert schema.names == ["product_id", "title", "description", "image", "category"]
        assert not schema.field("product_id").nullable
        assert schema.field("image").type == pa.binary()


def test_a_row_group_has_at_most_64_rows(tmp_path: Path) -> None:
    rows = [row for row in broken_products(0) for _ in range(8)]
    for path in parquet.write(rows, tmp_path / "catalog"):
        metadata = pq.read_metadata(path)
        assert metadata.num_rows > 64
        assert max(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)) == 64


def test_the_contact_sheet_has_a_line_for_every_category(
    written: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    with Image.open(written[0] / "sheet.png") as sheet:
        assert (sheet.format, sheet.size) == ("PNG", (1280, 160 * len(CATEGORIES)))
        for line in range(len(CATEGORIES)):
            darkest, _ = sheet.crop((0, line * 160, 160, line * 160 + 160)).convert("L").getextrema()
            assert darkest < 215


def test_a_directory_with_something_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    result = _run("--output", str(tmp_path))
    assert result.returncode == 2
    assert (
        result.stderr
        == f"error: Expected a new or empty directory to write to. Received: {tmp_path}; name another one\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_as_output_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Expected a new or empty directory"):
        sample.main(["--output", str(tmp_path / "file")])


def test_an_empty_directory_is_written_to(tmp_path: Path) -> None:
    sample.main(["--output", str(tmp_path), "--products", "0"])
    assert _table(tmp_path).num_rows == len(list(broken_products(0)))


def test_a_contact_sheet_without_a_folder_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    sheet = str(tmp_path / "absent" / "sheet.png")
    with pytest.raises(
        InputError, match="Expected a file in an existing directory for --contact-sheet. Received: .*absent"
    ):
        sample.main(["--output", str(tmp_path / "catalog"), "--contact-sheet", sheet])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--products", "--seed"])
@pytest.mark.parametrize("value", ["-1", "many", "1.5"])
def test_a_count_that_is_no_whole_number_is_refused(
    option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        sample.main(["--output", str(tmp_path / "catalog"), f"{option}={value}"])
    assert stopped.value.code == 2
    assert f"Expected a whole number, zero or more. Received: '{value}'" in capsys.readouterr().err
