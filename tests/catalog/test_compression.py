"""Packed text files: told by their bytes, and a damaged one says what it is."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from fashion_udf.catalog.compression import UnpackError, unpacked

TEXT = "".join(f"{number},hat {number * 7919}\n" for number in range(5000)).encode()


def _zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, TEXT)
    return file.getvalue()


def _by_arrow(folder: Path, name: str) -> bytes:
    with pa.output_stream(str(folder / name), compression=name) as stream:
        stream.write(TEXT)
    return (folder / name).read_bytes()


@pytest.fixture
def packed(tmp_path: Path) -> dict[str, bytes]:
    """The text in every compression."""
    return {
        "gzip": gzip.compress(TEXT),
        "bzip2": bz2.compress(TEXT),
        "xz": lzma.compress(TEXT),
        "zip": _zipped("a/c.csv", "__MACOSX/a/._c.csv", "a/"),
        **{name: _by_arrow(tmp_path, name) for name in ("zstd", "lz4")},
    }


def test_every_compression_is_told_by_its_bytes_whatever_the_name(tmp_path: Path, packed: dict[str, bytes]) -> None:
    for name, data in {**packed, "none": TEXT}.items():
        (tmp_path / "C.CSV").write_bytes(data)
        with unpacked(str(tmp_path / "C.CSV")) as stream:
            assert stream.read() == TEXT, name


def test_a_cut_file_names_its_compression_and_is_never_half_read(packed: dict[str, bytes]) -> None:
    for name, data in packed.items():
        with (
            pytest.raises(UnpackError, match=f"^compressed with {name}, and damaged or truncated"),
            unpacked("c", data[: len(data) // 2]) as stream,
        ):
            stream.read()


def test_an_archive_of_several_files_and_a_workbook_say_what_to_do() -> None:
    for names, expected in ((["a.csv", "b.csv"], "zip archive of 2 files: unpack it"), ([], "archive of 0 files")):
        with pytest.raises(UnpackError, match=expected), unpacked("c", _zipped(*names)):
            pass
    with (
        pytest.raises(UnpackError, match="Excel workbook: save it as CSV"),
        unpacked("c", _zipped("[Content_Types].xml")),
    ):
        pass
