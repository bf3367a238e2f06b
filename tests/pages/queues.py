"""Review queues for tests, written as a run writes them, and the review of one served on this machine."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import uvicorn
from PIL import Image

from fashion_udf.pages import review_app, review_queue
from fashion_udf.pages.claims import Claims
from fashion_udf.pages.products import PRODUCTS
from fashion_udf.pages.queue import QUEUE
from fashion_udf.pages.review_photos import Photos
from fashion_udf.pages.reviewing import Review
from fashion_udf.pages.similar_products import SimilarProducts
from fashion_udf.table import data_files, paths, snapshot
from fashion_udf.table.decisions import Decisions
from fashion_udf.table.stores import open_store

RUN = "20261127T020000000000Z-00000000"
LABELS = ("Hats", "Shirts", "Shoes", "Socks", "Tops", "Watches")
TOKEN = "token-of-the-test"


def row(number: int, **facts: Any) -> dict[str, Any]:
    """A row that waits; its category goes through `LABELS`."""
    category = LABELS[number % 3]
    others = [label for label in LABELS if label != category]
    usual: dict[str, Any] = {
        "product_id": f"p{number:06d}",
        "category": category,
        "category_source": "model",
        "model_category": category,
        "confidence": 0.4,
        "decision": "review" if number % 2 else "abstain",
        "status": "ok",
        "modality": "both",
        "novelty": 0.1,
        "top_categories": [
            {"category": name, "confidence": 0.4 / (1 + at)} for at, name in enumerate([category, *others])
        ],
        "fingerprint": str(number),
        "model_version": "m1",
        "alike": 3,
        "worth": 1.0,
        "title": f"Product {number} of {category}",
        "description": "A description.",
    }
    return {**usual, **facts}


def write(
    output: Path, rows: list[dict[str, Any]], reading: Mapping[str, Any] | None = None, run_id: str = RUN
) -> None:
    """Write a queue as a run does."""
    folder = output / "runs" / run_id
    (folder / "queue.parquet").mkdir(parents=True)
    table = pa.Table.from_pylist(rows, schema=pa.schema([field.with_nullable(True) for field in QUEUE]))
    pq.write_table(table, folder / "queue.parquet" / "part-0.parquet")
    (folder / "queue.json").write_text(
        json.dumps({"labels": LABELS, "image_roots": [], "photos": None, **(reading or {})})
    )


def write_products(output: Path, rows: list[dict[str, Any]]) -> None:
    """Write what pages show of products, in two files, as a run does."""
    folder = output / "runs" / RUN / "products.parquet"
    folder.mkdir(parents=True)
    for number, part in enumerate((rows[::2], rows[1::2])):
        pq.write_table(pa.Table.from_pylist(part, schema=PRODUCTS), folder / f"part-{number}.parquet")


def publish_tags(output: Path, categories: Mapping[str, str]) -> None:
    """Publish tags that hold categories alone."""
    run_id, parent = paths.new_run_id(), snapshot.current(str(output))
    folder = output / "tags" / "data" / run_id
    folder.mkdir(parents=True)
    table = pa.table({"product_id": [*categories], "category": [*categories.values()]})
    pq.write_table(table, folder / f"{run_id}.parquet")
    files = data_files.described(paths.snapshot_dir(str(output), run_id))
    snapshot.publish(str(output), run_id, files, "m1", expected_rows=len(table), parent=parent)


def photo(colour: str) -> bytes:
    """A small photo."""
    file = io.BytesIO()
    Image.new("RGB", (60, 80), colour).save(file, "PNG")
    return file.getvalue()


def review(output: Path, person: str = "ann") -> Review:
    """The review of one person, as the command makes it."""
    store = open_store(str(output))
    queue = review_queue.read(str(output))
    return Review(queue, Decisions(store), Claims(store, queue.run_id, person), person)


@contextmanager
def served(output: Path, person: str = "ann") -> Iterator[str]:
    """Serve the review of one person; yields its address, token included."""
    made = review(output, person)
    config = uvicorn.Config(
        review_app.app(made, Photos(made.queue.reading), SimilarProducts(str(output), made.queue), TOKEN),
        host="127.0.0.1",
        port=0,
        log_level="warning",
        access_log=False,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/{TOKEN}/"
    finally:
        server.should_exit = True
        thread.join(20)
