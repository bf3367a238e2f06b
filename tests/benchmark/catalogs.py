"""Catalogs to measure with: real products with photos as large as shops deliver, written once and used again.

<work>/<source>/photos/00000.jpg     1080 x 1440, about 130 KB; `source` is "shared" or "generated"
<work>/<source>/<rows>/bytes         photos as bytes, four files
<work>/<source>/<rows>/uri           photos by URI, one file, in reverse order
<work>/<source>/<rows>/duplicates    photos as bytes; the second half repeats photo and text of the first
<work>/<source>/<rows>/first         one product as bytes: what a worker's first row takes
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from fashion_udf.errors import InputError
from fashion_udf.samples import catalog

WIDTH, HEIGHT = 1080, 1440  # pixels
#: Gives about 130 KB: enlarging a small photo brings back no detail, so the quality is higher than a shop's.
QUALITY = 96
FILES = 4
ROW_GROUP = 64  # rows; a reader holds one row group of photos at a time
COPY = "-copy"  # ends the id of a duplicate
_SEED = 0
_SCHEMA = pa.schema([(name, pa.string()) for name in ("product_id", "title", "description")])
BYTES = _SCHEMA.append(pa.field("image", pa.binary()))
URI = _SCHEMA.append(pa.field("image_uri", pa.string()))


@dataclass(frozen=True)
class Item:
    """A product; its small photo is enlarged before it is used."""

    product_id: str
    title: str
    description: str
    photo: bytes


@dataclass(frozen=True)
class Catalogs:
    """The texts of the products, the folder of their photos, and the folder of their catalogs."""

    items: Sequence[Item]
    photos: Path
    folder: Path

    def photo(self, index: int) -> Path:
        """Return the enlarged photo of a product, made if it is not there yet."""
        path = self.photos / f"{index:05d}.jpg"
        if not path.exists():
            unfinished = path.with_suffix(".unfinished")
            unfinished.write_bytes(enlarged(self.items[index].photo))
            unfinished.rename(path)
        return path


def shared_folder() -> Path | None:
    """Return the folder of real products, if this machine has it (`FASHION_DATA`, or ../shared/data)."""
    root = Path(os.environ.get("FASHION_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
    folder = root / "fashion-products"
    return folder if folder.is_dir() else None


def prepare(work: Path, rows: int, shared: Path | None) -> Catalogs:
    """Write the catalogs of `rows` products, unless they are there already.

    Args:
        work: where the benchmark keeps its files.
        rows: products in a catalog; the first ones of a fixed random order.
        shared: the folder of real products; None draws garments instead.

    Raises:
        InputError: there are fewer products.
    """
    source = work / ("shared" if shared else "generated")
    items = list(islice(_shared(shared) if shared else generated(rows), rows))
    if len(items) < rows:
        raise InputError(f"Expected at least {rows} different products. Received: {len(items)}; lower --rows")
    catalogs = Catalogs(items, source / "photos", source / str(rows))
    catalogs.photos.mkdir(parents=True, exist_ok=True)
    if not catalogs.folder.exists():
        unfinished = catalogs.folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        _write_all(catalogs, unfinished)
        unfinished.rename(catalogs.folder)
    return catalogs


def enlarged(photo: bytes) -> bytes:
    """Return a photo as a JPEG of `WIDTH` x `HEIGHT` pixels."""
    with Image.open(io.BytesIO(photo)) as image:
        large = image.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    large.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def write(path: Path, rows: Iterator[dict[str, object]], schema: pa.Schema) -> None:
    """Write rows to a new Parquet file, a row group at a time; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(islice(rows, ROW_GROUP if "image" in schema.names else 10_000)):
            writer.write_table(pa.Table.from_pylist(group, schema))


def _write_all(catalogs: Catalogs, folder: Path) -> None:
    indexes = range(len(catalogs.items))
    half = [*indexes[: (len(indexes) + 1) // 2]]
    for number in range(FILES):
        name = f"part-{number:05d}.parquet"
        part = indexes[number::FILES]
        write(folder / "bytes" / name, (_row(catalogs, index, "image") for index in part), BYTES)
        repeated = [(index, suffix) for suffix in ("", COPY) for index in half][: len(indexes)][number::FILES]
        write(folder / "duplicates" / name, (_row(catalogs, at, "image", end) for at, end in repeated), BYTES)
    uris = (_row(catalogs, index, "image_uri") for index in reversed(indexes))
    write(folder / "uri" / "part-00000.parquet", uris, URI)
    write(folder / "first" / "part-00000.parquet", iter([_row(catalogs, 0, "image")]), BYTES)


def _row(catalogs: Catalogs, index: int, column: str, suffix: str = "") -> dict[str, object]:
    item, path = catalogs.items[index], catalogs.photo(index)
    photo = path.read_bytes() if column == "image" else str(path.absolute())
    return {
        "product_id": item.product_id + suffix,
        "title": item.title,
        "description": item.description,
        column: photo,
    }


def _shared(folder: Path) -> Iterator[Item]:
    """Yield real products in a fixed random order; of those with the same photo and text, the first."""
    with open(folder / "data.csv", encoding="utf-8", newline="") as file:
        records = list(csv.DictReader(file))
    random.Random(_SEED).shuffle(records)
    seen = set()
    for record in records:
        path = folder / "data" / record["image"]
        if not path.exists():
            continue
        photo = path.read_bytes()
        key = (hashlib.sha256(photo).digest(), record["display name"], record["description"])
        if key not in seen:
            seen.add(key)
            yield Item(path.stem, record["display name"], record["description"], photo)


def generated(count: int) -> Iterator[Item]:
    """Yield drawn garments."""
    for product in catalog.products(count, seed=_SEED):
        yield Item(product.product_id, product.title or "", product.description or "", product.image or b"")
