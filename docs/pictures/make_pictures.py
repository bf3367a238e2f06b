"""Make the README's pictures of the page of a run and of the review, from the output of `make demo`: `make pictures`.

The demo's catalog is drawn by this repository, so the pictures show nobody's goods.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
SIZE, TALL = {"width": 1100, "height": 760}, {"width": 1100, "height": 1560}
OPTIONS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


def main(output: Path) -> None:
    """Write run.png, grid.png and review.png beside this file."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    runs = sorted((output / "runs").glob("*/index.html"))
    if not chromium or not runs:
        sys.exit("Expected Chromium (apt-get install chromium) and the output of `make demo`. Received: "
                 f"{chromium or 'no Chromium'}, {len(runs)} pages in {output}")  # fmt: skip
    with tempfile.TemporaryDirectory() as copy:  # whoever reviews the demo next gets every row
        shutil.copytree(runs[-1].parent, Path(copy) / "runs" / runs[-1].parent.name)
        _pictures(chromium, runs[-1], Path(copy))


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
            rows = "section:nth-of-type(3) tbody tr:nth-child(n+4)"
            page.evaluate("chosen => document.querySelectorAll(chosen).forEach(row => row.remove())", rows)
            _keep(page, "run.png")
            page = browser.new_page(viewport=SIZE, color_scheme="light")
            page.goto(address)
            page.wait_for_selector("#top button")
            page.wait_for_function("() => document.getElementById('photo').naturalWidth > 0")
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
