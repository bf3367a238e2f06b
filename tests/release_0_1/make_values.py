"""Makes `values.json` and `photos/` beside this file, with release 0.1 alone: what later releases must compute too.

    cd CHECKOUT_OF_0.1 && PYTHONPATH=. .venv/bin/python THIS_FILE

Rows by URI name places that need not exist, but for the last one, whose size and time are stated.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from fashion_udf import bundle, catalog, images, job, plan, sample, text
from fashion_udf.commit import Commit, DataFile
from fashion_udf.config import Columns, Input
from training import split

TARGET = Path(__file__).resolve().parent
TEXTS = [
    None,
    "",
    "Nordwind Men Striped Shirt",
    "nordwind men striped shirt ",
    "Süßes Kleid, rouge foncé",
    "Ｎike ﬁt №5",
    "領帶 \U0001f454 \U0001f469\u200d\U0001f467",
    "\u0642\u0645\u064a\u0635 \u202eregor\u202c",
    'line\nbreak\ttab \x07 "quoted", 40" x 30"',
    "[PAD] [UNK] 501",
    "Dress " * 300,
]
LABELLED = [
    (f"{number}", title, photo, "Hats" if number % 4 == 0 else "Shirts")
    for number, (title, photo) in enumerate(
        [(f"Shirt {number % 43}" if number % 5 else None, f"{number % 47:064x}") for number in range(1163, 1213)]
        + [("Ｒed   HAT", None), ("red hat", None), (" ", None), (None, None)],
        start=1163,
    )
]


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The photo's file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photos() -> dict[str, bytes]:
    """A PNG, a JPEG, and a JPEG so large that it is decoded at a part of its size."""
    drawn = {name: sample.garment(name, np.random.default_rng(7), size) for name, size in DRAWN}
    return {
        "tie.png": encoded(drawn["Ties"], "PNG", optimize=True),
        "dress.jpg": encoded(drawn["Dresses"], "JPEG", quality=80),
        "shoes-large.jpg": encoded(drawn["Casual Shoes"], "JPEG", quality=40),
    }


DRAWN = (("Ties", 96), ("Dresses", 160), ("Casual Shoes", 1000))


def drawings() -> dict[str, str]:
    """The sha256 of the pixels of one small drawing of each category."""
    drawn = {name: sample.garment(name, np.random.default_rng(7), 64) for name in sample.CATEGORIES}
    return {name: hashlib.sha256(image.tobytes()).hexdigest() for name, image in drawn.items()}


def pixels(files: Mapping[str, bytes]) -> list[list[Any]]:
    """File, side of the square, sha256 of what it is decoded to."""
    decoded = [(name, size, images.decode(data, size).pixels) for name, data in files.items() for size in (224, 64)]
    return [[name, size, hashlib.sha256(found.tobytes()).hexdigest()] for name, size, found in decoded]


def fingerprints() -> list[dict[str, Any]]:
    """Rows of a catalog with photos as bytes, and of one with photos by URI, each with its fingerprints."""
    png = encoded(Image.new("RGB", (12, 12), (200, 10, 10)), "PNG")
    photo = {None: None, "png": png, "html": b"<html>404</html>", "empty": b""}
    by_bytes = [
        ("b01", "Red Shirt", None, None, None),
        ("b02", None, "Red Shirt", None, None),
        ("b03", None, None, None, None),
        ("b04", "", "", "png", None),
        ("b05", "Red", "Shirt", "png", None),
        ("b06", "Red", "Shirt", "png", "7"),
        ("b07", "Red", "Shirt", None, "7"),
        ("b08", "Süßes Kleid \U0001f457", "rouge foncé\n", "html", None),
        ("b09", "\u0642\u0645\u064a\u0635 \u202eregor\u202c", " ", "empty", None),
        ("b10", "Su\u0308ßes Kleid", "\x00\x07", "html", "v \u2013 1"),
    ]
    by_uri = [
        ("u01", "Red Shirt", None, "/photos/a.jpg", "1"),
        ("u02", "Red Shirt", None, "/photos/a.jpg", None),
        ("u03", "Red Shirt", "Für Männer", "file:///photos/b%20%C3%BC.jpg", "2026-11-27"),
        ("u04", None, None, "https://shop.example/c.jpg", None),
        ("u05", "Red Shirt", None, None, "1"),
        ("u06", "Red Shirt", None, str(dated(png)), None),
    ]
    rows = [_row(*row[:3], image=photo[row[3]], version=row[4]) for row in by_bytes]
    rows += [_row(*row[:3], uri=row[3], version=row[4]) for row in by_uri]
    spark = job.session("values")
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("image", "image_uri"):
            some = [row for row in rows if kind in row]
            for precision in ("f32", "int8", "bf16"):
                for row, found in zip(some, _computed(spark, Path(folder), kind, some, precision), strict=True):
                    row.setdefault("fingerprints", {})[precision] = found
    for row in rows:
        if row.get("image") is not None:
            row["image"] = base64.b64encode(row["image"]).decode()
    rows[-1] |= {"size": len(png), "modified_ns": MODIFIED}
    return rows


MODIFIED = 1_700_000_000_123_456_789


def dated(data: bytes) -> Path:
    """A photo of a known path, size and time."""
    path = Path("/tmp/release_0_1_photo.png")
    path.write_bytes(data)
    os.utime(path, ns=(MODIFIED, MODIFIED))
    return path


def _row(product_id: str, title: str | None, description: str | None, version: str | None, **photo: Any) -> Any:
    ((kind, value),) = photo.items()
    told = {"product_id": product_id, "title": title, "description": description, "image_version": version}
    return {**told, {"image": "image", "uri": "image_uri"}[kind]: value}


def _computed(spark: Any, folder: Path, kind: str, rows: list[dict[str, Any]], precision: str) -> list[str]:
    types = {"image": pa.binary()}
    names = ("product_id", "title", "description", "image_version", kind)
    columns = {name: pa.array([row[name] for row in rows], types.get(name, pa.string())) for name in names}
    path = folder / kind / precision
    path.mkdir(parents=True)
    pq.write_table(pa.table(columns), path / "part.parquet")
    told = Input(path=str(path), columns=Columns(image_version="image_version"))
    source = catalog.read(spark, told)
    wanted = plan.wanted(source, bundle.BUILTIN_VERSION, precision, ("/tmp",), versioned=False).collect()
    found = {row["product_id"]: row["fingerprint"] for row in wanted}
    return [found[row["product_id"]] for row in rows]


def commits() -> list[dict[str, Any]]:
    """Commits by their fields, and the bytes of their files."""
    made = []
    for number, parent, snapshot_id, files in (
        (1, None, "20261127T030612508088Z-f6768a2b", 0),
        (42, 41, "20250131T020000000000Z-0badcafe-accepted", 2),
    ):
        names = (f"{snapshot_id}-part-{index:05d}.parquet" for index in range(files))
        listed = (DataFile(name, 1234 + index, 10 * index, f"{index}" * 64) for index, name in enumerate(names))
        time, run_id = "2025-01-31T02:31:05Z", "20250131T020000000000Z-0badcafe"
        commit = Commit(number, snapshot_id, parent, time, run_id, bundle.BUILTIN_VERSION, tuple(listed))
        made.append({"fields": asdict(commit), "file": commit.to_json().decode()})
    return made


def tokens() -> list[dict[str, Any]]:
    """Ids of the built-in bundle's tokenizer: of each text as a title, and with a description."""
    tokenizer = text.tokenizer_from_bytes(bundle.read("builtin").files["tokenizer.json"])
    pairs = [*((title, None) for title in TEXTS), (TEXTS[2], TEXTS[4]), (None, TEXTS[2])]
    ids = [text.encode(tokenizer, [text.product_text(*pair)])[0].tolist() for pair in pairs]
    named = zip(pairs, ids, strict=True)
    return [{"title": title, "description": about, "ids": found} for (title, about), found in named]


def splits() -> list[list[Any]]:
    """Product id, title, sha256 of the photo, category, and the part it is in."""
    products = pd.DataFrame(LABELLED, columns=["product_id", "title", "image_sha256", "category"], dtype=object)
    return [[*row, part] for row, part in zip(LABELLED, split.assign(products), strict=True)]


def main() -> None:
    """Write all values."""
    files = photos()
    (TARGET / "photos").mkdir(exist_ok=True)
    for name, data in files.items():
        (TARGET / "photos" / name).write_bytes(data)
    builtin = bundle.read("builtin")
    held = {name: hashlib.sha256(data).hexdigest() for name, data in builtin.files.items()}
    values = {
        "bundle": {"model_version": builtin.model_version, "sha256": held},
        "commits": commits(),
        "fingerprints": fingerprints(),
        "tokens": tokens(),
        "drawings": drawings(),
        "pixels": pixels(files),
        "splits": splits(),
    }
    lines = (f"{json.dumps(name)}: {_listed(value)}" for name, value in values.items())
    (TARGET / "values.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="ascii")


def _listed(value: Any) -> str:
    if not isinstance(value, list):
        return json.dumps(value, indent=1)
    return "[\n" + ",\n".join(json.dumps(item) for item in value) + "\n]"


if __name__ == "__main__":
    main()
