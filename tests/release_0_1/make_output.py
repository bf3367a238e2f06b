"""Makes `output/` and `catalogs/` beside this file, with release 0.1 alone: its jobs, its Spark, its library.

    cd CHECKOUT_OF_0.1 && PYTHONPATH=. .venv/bin/python THIS_FILE

The work is done in WORK with relative paths, so that what a run writes names no directory of the machine.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from fashion_udf.sample import garment

RELEASE, TARGET = Path.cwd(), Path(__file__).resolve().parent
WORK = Path("/tmp/release_0_1")
Row = tuple[str | None, str | None, bytes | None]  # title, description, photo


def photo(category: str, seed: int) -> bytes:
    """A small JPEG of a drawn garment."""
    file = io.BytesIO()
    garment(category, np.random.default_rng(seed), 72).save(file, "JPEG", quality=70)
    return file.getvalue()


def blurs(seed: int) -> bytes:
    """A small PNG of nothing in particular: for seed 49 the two precisions name different categories."""
    points = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(points).resize((48, 48), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


FIRST: dict[str, Row] = {
    "p01": ("Nordwind Men Striped Shirt", "Blue, for formal wear", None),
    "p02": ("Velmora Women Handbag", None, photo("Handbags", 2)),
    "p03": ("Lumiko Unisex Sneakers", "", photo("Casual Shoes", 3)),
    "p04": (None, None, blurs(49)),
    "p05": ("Birkfeld Men Analogue Watch", None, photo("Watches", 5)[:-300]),
    "p06": (" ", None, None),
    "p07": ("Ostrava Lane Women Heels", None, b"<html><body>404</body></html>"),
    "p08": ("Tidewick Girls Dress", "Rouge foncé", None),
    "p09": ("Pebble & Pine Backpack", None, None),
    "p10": ("Kastellan Men Leather Belt", None, None),
    "p11": ("Männer Krawatte 領帶 \U0001f454", "Süß", None),
    "p12": ("Harrowdale Men Slim Fit Jeans", None, None),
}
SECOND: dict[str, Row] = {
    **{name: row for name, row in FIRST.items() if name != "p09"},
    "p03": ("Lumiko Unisex Sneakers", "", photo("Casual Shoes", 4)),
    "p08": ("Tidewick Girls Party Dress", "Rouge foncé", None),
    "p13": ("Nordwind Women Sunglasses", None, None),
}
TODAY: dict[str, Row] = {**SECOND, "p14": ("Velmora Boys Tshirt", "White", None)}
#: Of the run that is killed.
NEXT: dict[str, Row] = {
    **TODAY,
    "p11": ("Männer Krawatte 領帶", "Süß", None),
    "p15": ("Kastellan Women Jeans", None, None),
    "p16": ("Birkfeld Women Watch", None, photo("Watches", 16)),
    "p17": (None, None, photo("Ties", 17)),
    "p18": ("Kastellan Women Jeans", None, None),
}
#: Of the run that is refused: two of thirteen products are gone, which is more than a tenth.
FEWER: dict[str, Row] = {
    **{name: row for name, row in TODAY.items() if name not in ("p10", "p12")},
    "p01": ("Nordwind Men Checked Shirt", "Blue, for formal wear", None),
}
OVERRIDES = {"p10": "Handbags", "p01": "Shirts"}


def write_catalog(name: str, rows: dict[str, Row]) -> None:
    """Write a catalog as one file."""
    titles, descriptions, photos = zip(*rows.values(), strict=True)
    columns = {
        "product_id": pa.array([*rows], pa.string()),
        "title": pa.array(titles, pa.string()),
        "description": pa.array(descriptions, pa.string()),
        "image": pa.array(photos, pa.binary()),
    }
    Path(name).mkdir()
    pq.write_table(pa.table(columns), f"{name}/part-0.parquet", compression="zstd")


def command(job: str, catalog: str, *settings: str, output: str = "output") -> list[str]:
    """The command line of a run."""
    spark = [str(RELEASE / ".venv/bin/spark-submit"), "--conf", "spark.ui.enabled=false", "--master", "local[2]"]
    told = [f"input.path={catalog}", f"output.path={output}", *settings]
    line = [*spark, str(RELEASE / f"jobs/{job}.py"), "--config", str(RELEASE / "conf/nightly.yaml")]
    return line + [part for setting in told for part in ("--set", setting)]


def run(line: list[str], code: int = 0) -> None:
    """Run a command that ends with the exit code."""
    assert subprocess.run(line, check=False).returncode == code, line


def snapshots(*arguments: str) -> None:
    """Run `jobs/snapshots.py`."""
    run([str(RELEASE / ".venv/bin/python"), str(RELEASE / "jobs/snapshots.py"), *arguments, "--output", "output"])


def killed(line: list[str]) -> None:
    """Run a command, and kill it when its first chunk of results is there."""
    before = {*Path("output/staging").glob("*")}
    with subprocess.Popen(line, start_new_session=True) as process:
        while not [p for p in Path("output/staging").glob("*/results/00000") if p.parents[1] not in before]:
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.005)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def keep(name: str, **options: Any) -> None:
    """Copy a directory of WORK beside this file."""
    shutil.rmtree(TARGET / name, ignore_errors=True)
    shutil.copytree(WORK / name, TARGET / name, symlinks=True, **options)


def main() -> None:
    """Make everything."""
    WORK.mkdir()
    os.chdir(WORK)
    Path("catalogs").mkdir()
    Path("catalogs/overrides").mkdir()
    given = {"product_id": [*OVERRIDES], "category": [*OVERRIDES.values()]}
    pq.write_table(pa.table(given), "catalogs/overrides/part-0.parquet")
    catalogs = {"first": FIRST, "second": SECOND, "today": TODAY, "next": NEXT, "fewer": FEWER}
    for name, rows in catalogs.items():
        write_catalog(f"catalogs/{name}", rows)
    many = {f"q{number:03d}": (f"Velmora Women Dress {number}", None, None) for number in range(500)}
    write_catalog("many", many)
    write_catalog("trial", {name: FIRST[name] for name in ("p01", "p08")})

    margin = ("stability_margin=1.0", "overrides.path=catalogs/overrides")
    run(command("tag_catalog", "trial", "engine.precision=int8"))
    run(command("tag_catalog", "catalogs/first", "engine.precision=int8"))
    run(command("tag_catalog", "catalogs/second", *margin))
    run([*command("backfill", "catalogs/today", *margin), "--ids", "p14"])
    snapshots("pin", "--number", "2", "--note", "before f32")
    snapshots("expire", "--older-than", "0s", "--grace", "0s", "--keep", "3")
    run(command("tag_catalog", "catalogs/fewer", *margin), code=3)
    killed(command("tag_catalog", "catalogs/next", *margin))
    run(command("tag_catalog", "many", output="quick"))  # enough rows to say how fast scoring is
    shutil.copytree("quick/runs", "output/runs", dirs_exist_ok=True)

    # `current.sql` and `outcome.json` may name a directory of the machine; tables of a run are for people alone.
    unread = ("current.sql", "outcome.json", "changes*", "failures*", "review*", "kept*")
    keep("output", ignore=shutil.ignore_patterns(*unread))
    keep("catalogs")
    shutil.rmtree(WORK)


if __name__ == "__main__":
    main()
