"""Small catalogs through whole nights: what a table must hold, and runs that end as if they were killed."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from PIL import Image

from fashion_udf import config
from fashion_udf.config import Gates, JobConfig
from fashion_udf.model import bundle
from fashion_udf.model.engines import registry
from fashion_udf.scoring.scorer import Scorer, Settings
from fashion_udf.table import paths, snapshot
from tests import small_bundle, soak
from tests.tables import REMOVING_CALLS, before_each_call

Product = tuple[str | None, bytes | None]  # title and photo
Row = tuple[Any, ...]

#: What may not depend on how a table came about (floats but for the last digits, which the batch a row was in decides).
COLUMNS = ("category", "decision", "modality", "status", "image_sha256", "model_version")


@dataclass
class Shop:
    """A catalog that changes, and the people's overrides."""

    draws: random.Random
    products: dict[str, Product] = field(default_factory=dict)
    overrides: dict[str, str] = field(default_factory=dict)

    def add(self, count: int) -> None:
        """Add products; some have a photo, some a title, some neither, and some are as another one."""
        for _ in range(count):
            name = f"p{self.draws.randrange(10**9):09d}"
            twin = self.draws.choice([*self.products.values()]) if self.products else None
            self.products[name] = twin if twin and self.draws.random() < 0.2 else self._product()

    def change(self, count: int) -> None:
        """Give products another title or another photo."""
        for name in self._some(count):
            title, photo = self.products[name]
            new_title, new_photo = self._product()
            self.products[name] = self.draws.choice([(new_title, photo), (title, new_photo)])

    def remove(self, count: int) -> None:
        """Remove products."""
        for name in self._some(count):
            del self.products[name]

    def reorder(self) -> None:
        """List the products in another order."""
        self.products = dict(self.draws.sample([*self.products.items()], len(self.products)))

    def override(self, count: int) -> None:
        """Let people say what products are, or withdraw all that they said."""
        self.overrides = {name: self.draws.choice(["Hats", "Socks"]) for name in self._some(count)}

    def write(self, folder: Path) -> JobConfig:
        """Write catalog and overrides in a number of files, in place of older ones; returns the config of a run."""
        for kind in ("catalog", "overrides"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            for old in (folder / kind).iterdir():
                old.unlink()
        names = [*self.products]
        parts = self.draws.randint(1, 3)
        for part in range(parts):
            chosen = names[part::parts]
            titles, photos = zip(*(self.products[name] for name in chosen), strict=True) if chosen else ((), ())
            columns = {
                "product_id": pa.array(chosen, pa.string()),
                "title": pa.array(titles, pa.string()),
                "image": pa.array(photos, pa.binary()),
            }
            pq.write_table(pa.table(columns), folder / "catalog" / f"part-{part}.parquet")
        given = {"product_id": [*self.overrides], "category": [*self.overrides.values()]}
        pq.write_table(
            pa.table({name: pa.array(values, pa.string()) for name, values in given.items()}),
            folder / "overrides" / "part.parquet",
        )
        tree = {
            "input": {"path": str(folder / "catalog")},
            "output": {"path": str(folder / "out")},
            "bundle": str(small_bundle.directory()),
            "overrides": {"path": str(folder / "overrides")},
            "gates": dict.fromkeys(Gates.model_fields, 1.0),
        }
        return config.validate(JobConfig, tree, "a night")

    def expected(self) -> dict[str, Row]:
        """Return what the table must hold: every product scored anew, by the engine alone, without Spark."""
        rows = {name: _scored(*product) for name, product in self.products.items()}
        return {name: (self.overrides.get(name, row[0]), *row[1:]) for name, row in rows.items()}

    def _some(self, count: int) -> list[str]:
        return self.draws.sample(sorted(self.products), min(count, len(self.products)))

    def _product(self) -> Product:
        words = ["Red", "Blue", "Men", "Women", "Shirt", "Jeans", "Watch", "Shoes", "Handbag", "Puma"]
        title = " ".join(self.draws.choices(words, k=4)) if self.draws.random() < 0.9 else None
        if self.draws.random() < 0.6:
            return title, None
        file = io.BytesIO()
        Image.new("RGB", (40, 40), tuple(self.draws.choices(range(256), k=3))).save(file, "PNG")
        return title, file.getvalue()[: self.draws.choice([None, None, None, 60])]


def held(output: str) -> dict[str, Row]:
    """Return what the published table holds, after all its files were checked."""
    commit = snapshot.current(output)
    if commit is None:
        return {}
    snapshot.verify(output, commit)
    rows = ds.dataset(paths.data_dir(output, commit), format="parquet").to_table().to_pylist()
    found = {row["product_id"]: tuple(row[name] for name in COLUMNS) for row in rows}
    soak.TOTALS["rows doubled"] += len(rows) - len(found)
    assert len(found) == len(rows) == commit.rows, "a product is there twice"
    return found


class Killed(BaseException):
    """The process is dead: nothing that it would still do is done."""


@contextmanager
def dies_at(step: int) -> Iterator[Callable[[], int]]:
    """End what runs inside at its `step`-th call of the operating system's file functions.

    As after kill -9, no handler changes a file any more: every later call fails too. Yields how many calls were made.
    """

    def do(_: str, call: int) -> None:
        if call >= step:
            raise Killed

    with before_each_call(REMOVING_CALLS, do) as counter:
        yield lambda: counter.calls


@cache
def _scored(title: str | None, photo: bytes | None) -> Row:
    row = _scorer().score([title], [None], [photo]).iloc[0]
    category, status = row["model_category"], row["status"]
    return (category, row["decision"], row["modality"], status, row["image_sha256"], _model().model_version)


@cache
def _model() -> bundle.Bundle:
    return small_bundle.read()


@cache
def _scorer() -> Scorer:
    limits = JobConfig.model_validate({"input": {"path": "in"}, "output": {"path": "out"}}).limits
    settings = Settings("openvino", "f32", 16, 3, "bytes", (), limits.max_image_bytes, limits.max_image_pixels)
    return Scorer(_model(), settings, registry.create("openvino", _model(), "f32", 2))
