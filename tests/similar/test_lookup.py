"""One product, one photo: the nearest products of the current tags, and a sheet of their photos."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashion_udf.commands import similar
from fashion_udf.errors import InputError
from fashion_udf.photos.sandbox import SandboxedDecoder
from fashion_udf.similar import lookup, shown
from fashion_udf.similar.sheet import Tile, sheet
from tests.similar import catalogs


def photo() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (30, 60), (200, 0, 0)).save(file, "PNG")
    return file.getvalue()


def test_the_nearest_products_are_those_of_the_definition(tmp_path: Path) -> None:
    rows = catalogs.products(40)
    catalogs.publish(tmp_path, [*rows, {**rows[0], "product_id": "old", "model_version": "m0"}])
    held = lookup.load(str(tmp_path))
    found = [each.product_id for each in held.of_product("p0004", 4)]
    assert found == catalogs.expected(rows)["p0004"]
    anywhere = held.of_vector(rows[4]["embedding"], 3)
    assert anywhere[0].product_id == "p0004" and anywhere[0].score == pytest.approx(1, abs=1e-6)
    for unknown in ("nobody", "old"):
        with pytest.raises(InputError, match=f"Expected the id of a product .* Received: '{unknown}'"):
            held.of_product(unknown)
    with pytest.raises(InputError, match="Expected a bundle of the model of the tags, m1. Received: m2"):
        held.require_model("m2")


def test_a_sheet_has_a_square_for_each_tile_and_grey_ones_where_there_is_no_photo() -> None:
    with contextlib.closing(SandboxedDecoder()) as decoder:
        drawn = sheet([[Tile(photo(), ("a", "b")), Tile(None)], [Tile(b"no photo")]], decoder, 50)
        assert sheet([], decoder)
    picture = Image.open(io.BytesIO(drawn))
    assert picture.format == "JPEG" and picture.size == (6 + 2 * 56, 6 + 2 * (56 + 28))
    red, grey = picture.getpixel((31, 31)), picture.getpixel((87, 31))
    assert red[0] > 180 > 40 > red[1] and abs(grey[0] - 225) < 5


def test_a_photo_that_kills_its_decoder_is_a_grey_square() -> None:
    with contextlib.closing(SandboxedDecoder(decoder="os:abort")) as decoder:
        picture = Image.open(io.BytesIO(sheet([[Tile(photo())]], decoder, 50)))
    assert abs(picture.getpixel((31, 31))[0] - 225) < 5


def test_the_command_prints_titles_and_writes_a_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogs.publish(tmp_path, catalogs.products(20))
    (tmp_path / "job.yaml").write_text(f"input: {{path: none}}\noutput: {{path: {tmp_path}}}\n")
    monkeypatch.setattr(similar.session, "start", lambda name, s3: None)
    monkeypatch.setattr(
        similar.shown,
        "read",
        lambda spark, source, ids, photos: {name: shown.Shown(f"Title {name}", photo()) for name in ids},
    )
    config = ["--config", str(tmp_path / "job.yaml")]
    similar.main([*config, "--product", "p0003", "--k", "3", "--sheet", str(tmp_path / "out.jpg")])
    assert capsys.readouterr().out.count("Title p") == 3
    assert Image.open(tmp_path / "out.jpg").width == 6 + 4 * 166
    queries = tmp_path / "queries.parquet"
    pq.write_table(pa.table({"product_id": ["p0001", "p0002"]}), queries)
    similar.main([*config, "--queries", str(queries), "--to", str(tmp_path / "answers.parquet"), "--k", "2"])
    answers = pq.read_table(tmp_path / "answers.parquet").to_pylist()
    assert [(row["query"], row["position"]) for row in answers] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    for wrong in ([], ["--product", "a", "--title", "b"], ["--queries", str(queries)]):
        with pytest.raises(InputError, match="Expected (one of --product|--to FILE)"):
            similar.main([*config, *wrong])
