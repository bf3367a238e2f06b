"""Make the README's pictures from the output of `make demo`: `make pictures`.

A contact sheet of tagged products with their similar ones, the page of a run, and the review. The demo's catalog is
drawn by this repository, so the pictures show nobody's goods.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from PIL import Image

from fashion_udf.pages import review_queue
from fashion_udf.pages.review_photos import Photos
from fashion_udf.pages.review_queue import photo_place
from fashion_udf.similar.sheet import Tile, sheet
from fashion_udf.table.tags_table import TagsTable

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
SIZE, TALL = {"width": 1100, "height": 760}, {"width": 1100, "height": 1560}
#: Rows of the contact sheet, and products in each beside the first.
CATEGORIES, SIMILAR = ("Dresses", "Tshirts", "Handbags", "Casual Shoes"), 6
OPTIONS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


def main(output: Path) -> None:
    """Write similar.jpg, run.png, grid.png and review.png beside this file."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    runs = sorted((output / "runs").glob("*/index.html"))
    if not chromium or not runs:
        sys.exit("Expected Chromium (apt-get install chromium) and the output of `make demo`. Received: "
                 f"{chromium or 'no Chromium'}, {len(runs)} pages in {output}")  # fmt: skip
    with tempfile.TemporaryDirectory() as copy:  # whoever reviews the demo next gets every row
        whole = Path(copy) / "output"
        shutil.copytree(output, whole, ignore=shutil.ignore_patterns("overrides", "staging"), symlinks=True)
        (HERE / "similar.jpg").write_bytes(_contact_sheet(str(whole)))
        _pictures(chromium, runs[-1], whole)


def _contact_sheet(output: str) -> bytes:
    """A row for each of a few products that the model is sure of: itself, and the products most like it."""
    queue = review_queue.read(output)
    place = Path(output) / "runs" / queue.run_id / "products.parquet"
    shown, photos = pq.read_table(place), Photos(queue.reading)
    number = {name: index for index, name in enumerate(shown["product_id"].to_pylist())}
    table = TagsTable(output)
    tags = table.to_pandas(["product_id", "category", "confidence", "decision"]).set_index("product_id").sort_index()
    sure = tags[(tags["decision"] == "auto") & tags.index.isin(number)]

    def tile(product_id: str, score: float | None = None) -> Tile:
        tag = tags.loc[product_id]
        told = f"{tag['confidence']:.0%} sure" if score is None else f"score {score:.2f}"
        return Tile(photos.jpeg(photo_place(shown, number[product_id]), 160), (str(tag["category"]), told))

    rows = []
    for category in CATEGORIES:
        first = sure.index[sure["category"] == category][0]
        similar = table.similar([first]).head(SIMILAR)
        rows.append([tile(first), *map(tile, similar["similar_id"], similar["score"])])
    photos.close()
    return sheet(rows, 120)


def _pictures(chromium: str, run: Path, output: Path) -> None:
    from playwright.sync_api import sync_playwright

    command = [sys.executable, "-m", "fashion_udf", "review", "--output", str(output), "--name", "pictures"]
    review = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    try:
        assert review.stdout is not None  # it is a pipe
        address = review.stdout.readline().split()[-1]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=OPTIONS)
            page = browser.new_page(viewport=TALL, device_scale_factor=0.7, color_scheme="light")
            page.goto(run.resolve().as_uri())
            # Failures fill the middle of a demo's page: its catalog has broken photos of every kind.
            rows = "[aria-label=failures] tbody tr:nth-child(n+4)"
            page.evaluate("chosen => document.querySelectorAll(chosen).forEach(row => row.remove())", rows)
            _keep(page, "run.png")
            page = browser.new_page(viewport=SIZE, color_scheme="light")
            page.goto(address)
            page.wait_for_selector("#top button")
            page.wait_for_selector("#alike img")
            page.wait_for_function("() => [...document.images].every(one => one.naturalWidth)")
            _keep(page, "review.png")
            page.select_option("#category", "Shirts")
            page.keyboard.press("Escape")
            page.keyboard.press("g")
            page.wait_for_selector("#grid img")
            page.wait_for_load_state("networkidle")
            _keep(page, "grid.png")
            browser.close()
    finally:
        review.terminate()
        review.wait()


def _keep(page: Any, name: str) -> None:
    """Keep a picture with 64 colours: a third of the size, and nobody sees it."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(64, method=Image.Quantize.MEDIANCUT).save(HERE / name, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
