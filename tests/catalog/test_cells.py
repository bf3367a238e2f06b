"""Photo cells of every type that exports have: the first photo, the others counted, nothing where none is."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashion_udf.catalog import columns
from fashion_udf.config import Columns, Input
from fashion_udf.errors import CatalogError, ConfigError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 10, 10)).save(file, "JPEG")
    return file.getvalue()


JPEG = _jpeg()
TEXT = base64.b64encode(JPEG).decode()


def _read(spark: SparkSession, folder: Path, cells: Any, name: str = "image", **mapped: Any) -> list[Any]:
    """Return (role, cell, further photos) of each row."""
    ids = [f"{number:02d}" for number in range(len(cells))]
    pq.write_table(pa.table({"product_id": ids, "title": ids, name: cells}), folder / "c.parquet")
    return _rows(spark, Input(path=str(folder), columns=Columns(**mapped)))


def _rows(spark: SparkSession, source: Input) -> list[Any]:
    frame = columns.read(spark, source).rows
    role = "image" if "image" in frame.columns else "image_uri"
    rows = sorted(frame.collect(), key=lambda row: row["product_id"])
    return [(role, row[role], row[columns.FURTHER]) for row in rows]


URIS = {
    "/photos/a.jpg": ("/photos/a.jpg", 0),
    "  /photos/a.jpg\t": ("/photos/a.jpg", 0),
    "a.jpg|b.jpg | c.jpg": ("a.jpg", 2),
    "/p/a.JPG, /p/b.jpg": ("/p/a.JPG", 1),
    "a.jpg,b.jpg": ("a.jpg", 1),
    "a.png;b.png": ("a.png", 1),
    "https://x.example/w_100,h_100/1, https://x.example/2": ("https://x.example/w_100,h_100/1", 1),
    '["a.jpg", "b.jpg"]': ("a.jpg", 1),
    "['a.jpg', 'b.jpg']": ("a.jpg", 1),
    "|a.jpg": ("a.jpg", 0),
    "shirt, blue.jpg": ("shirt, blue.jpg", 0),
    "[old] hat.jpg": ("[old] hat.jpg", 0),
    "": (None, 0),
    " \n": (None, 0),
    "NaN": (None, 0),
    "null": (None, 0),
    "None": (None, 0),
    " | ": (None, 0),
}


def test_a_cell_of_names_gives_the_first_and_counts_the_others(spark: SparkSession, tmp_path: Path) -> None:
    found = _read(spark, tmp_path, list(URIS), name="image_uri")
    assert dict(zip(URIS, [(cell, further) for _, cell, further in found], strict=True)) == URIS


def test_a_column_of_lists_gives_the_first_and_counts_the_others(spark: SparkSession, tmp_path: Path) -> None:
    cells = [["", "a.jpg", "b.jpg", None], [], None, ["a.jpg"]]
    expected = [("image_uri", "a.jpg", 1), ("image_uri", None, 0), ("image_uri", None, 0), ("image_uri", "a.jpg", 0)]
    assert _read(spark, tmp_path, cells, name="images") == expected
    assert _read(spark, tmp_path, [[JPEG, b"x"], None]) == [("image", JPEG, 1), ("image", None, 0)]


def test_a_column_of_text_holds_photos_or_names_as_its_first_cells_say(spark: SparkSession, tmp_path: Path) -> None:
    photos = [TEXT, "nan", f"data:image/jpeg;base64,{TEXT}"]
    assert [cell for _, cell, _ in _read(spark, tmp_path, photos)] == [photos[0].encode(), None, photos[2].encode()]
    assert _read(spark, tmp_path, ["a.jpg", "null"]) == [("image_uri", "a.jpg", 0), ("image_uri", None, 0)]
    assert _read(spark, tmp_path, [b"/a.jpg", b""], name="image_uri")[0] == ("image_uri", "/a.jpg", 0)
    with pytest.raises(ConfigError, match=r"Received: names such as 'a\.jpg'. Use input\.columns\.image_uri"):
        _read(spark, tmp_path, ["a.jpg"], image="image")


def test_a_struct_as_data_sets_write_it_gives_its_bytes_or_its_place(spark: SparkSession, tmp_path: Path) -> None:
    cells = [{"bytes": JPEG, "path": "a.jpg"}, {"bytes": None, "path": "b.jpg"}, None]
    assert _read(spark, tmp_path, cells) == [("image", JPEG, 0), ("image", b"b.jpg", 0), ("image", None, 0)]
    assert _read(spark, tmp_path, [[cells[0], cells[0]], []]) == [("image", JPEG, 1), ("image", None, 0)]
    assert _read(spark, tmp_path, cells, image="image.bytes")[1] == ("image", None, 0)
    assert _read(spark, tmp_path, [{"url": "a.jpg", "alt": "x"}]) == [("image_uri", "a.jpg", 0)]
    with pytest.raises(CatalogError, match=r"Expected column 'image' to be binary, .* Received: struct<x:bigint> in"):
        _read(spark, tmp_path, [{"x": 1}])
    with pytest.raises(CatalogError, match=r"Expected column 'image.y' .* Received: no such field"):
        _read(spark, tmp_path, [{"x": 1}], image="image.y")


@pytest.mark.parametrize(("mode", "channels", "size"), [("RGB", 3, (5, 3)), ("L", 1, (6, 2)), ("RGBA", 4, (3, 3))])
def test_pixels_of_sparks_image_source_become_a_photo(
    spark: SparkSession, tmp_path: Path, mode: str, channels: int, size: tuple[int, int]
) -> None:
    picture = Image.effect_noise(size, 90).convert(mode)
    picture.putpixel((0, 0), (255, 0, 9, 255)[:channels] if channels > 1 else 77)
    raw = picture.tobytes()
    if channels > 1:  # blue first
        raw = b"".join(raw[at : at + 3][::-1] + raw[at + 3 : at + channels] for at in range(0, len(raw), channels))
    cell = {"origin": "file:/a", "height": size[1], "width": size[0], "nChannels": channels, "mode": 16, "data": raw}
    kinds = [("origin", pa.string()), *((name, pa.int32()) for name in ("height", "width", "nChannels", "mode"))]
    cells = pa.array([cell, None], pa.struct([*kinds, ("data", pa.binary())]))
    (_, photo, _), nothing = _read(spark, tmp_path, cells)
    with Image.open(io.BytesIO(photo)) as opened:
        assert opened.convert("RGB").tobytes() == picture.convert("RGB").tobytes()
    assert nothing[1] is None


def test_the_files_that_spark_reads_as_binary_are_photos(spark: SparkSession, tmp_path: Path) -> None:
    assert _read(spark, tmp_path, [JPEG], name="content") == [("image", JPEG, 0)]


def test_photos_in_csv_and_json_are_text(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(f"product_id,title,Photo\n1,a,{TEXT}\n2,b,\n3,c,nan\n")
    expected = [("image", TEXT.encode(), 0), ("image", None, 0), ("image", None, 0)]
    assert _rows(spark, Input(path=str(tmp_path / "c.csv"), format="csv")) == expected
    lines = [{"product_id": "1", "title": "a", "image": TEXT}, {"product_id": "2", "title": "b", "image": None}]
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert _rows(spark, Input(path=str(tmp_path / "c.jsonl"), format="json")) == expected[:2]
    nested = [{"product_id": "1", "title": "a", "images": ["a.jpg", "b.jpg"]}]
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, nested)))
    assert _rows(spark, Input(path=str(tmp_path / "c.jsonl"), format="json")) == [("image_uri", "a.jpg", 1)]
