"""Plant wrong photos or titles among real products outside training, and measure how many a night finds.

    python -m tests.pages.measure_wrong_photos data/fashion-products FOLDER [image|title]

One product in ten of validation and test gets the photo, or the title, of another product. A planted one counts as
found if the review queue has a suspect: the photo or the text (named), or either of them (found). A photo of the same
family shows the same kind of goods, so the recall is stated of all planted ones and of those of another family.
"""

from __future__ import annotations

import csv
import hashlib
import random
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fashion_udf.config import JobConfig
from fashion_udf.model import bundle
from fashion_udf.pages import review_queue, run_report
from fashion_udf.spark import session
from training.data import split

SHARE, SEED = 0.1, 7


def main(source: Path, folder: Path, wrong: str = "image") -> None:
    """Write the catalog, tag it, and say what was found."""
    spark = session.start("measure_wrong_photos")
    rows = []
    with open(source / "data.csv", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            photo = (source / "data" / line["image"]).read_bytes()
            facts = {"product_id": Path(line["image"]).stem, "title": line["display name"], "image": photo}
            rows.append({**facts, "description": line["description"], "category": line["category"]})
    products = spark.createDataFrame(
        [
            (row["product_id"], split.normalised_title(row["title"]), row["category"], _sha256(row["image"]))
            for row in rows
        ],
        "product_id string, normalised_title string, category string, image_sha256 string",
    )
    parts = {row["product_id"]: row["split"] for row in split.assign(products).collect()}
    rows = [row for row in rows if parts[row["product_id"]] != split.TRAIN]
    planted = _plant(rows, wrong)
    (folder / "catalog").mkdir(parents=True)
    table = pa.Table.from_pylist(rows).select(["product_id", "title", "description", "image"])
    pq.write_table(table, folder / "catalog" / "part.parquet", row_group_size=200)
    tree = {"input": {"path": str(folder / "catalog")}, "output": {"path": str(folder / "out")}}
    run_report.tag(spark, JobConfig.model_validate({**tree, "pages": {"scored_alone": len(rows)}}))
    sys.stdout.write(_told(folder / "out", len(rows), planted, wrong))


def _plant(rows: list[dict[str, object]], wrong: str) -> dict[str, bool]:
    """Give one product in ten another's photo or title; returns whether that is of another family, by product."""
    draws, families = random.Random(SEED), bundle.read("builtin").taxonomy.by_category
    chosen, found = draws.sample(rows, int(len(rows) * SHARE)), {}
    others = [draws.choice([row for row in rows if row[wrong] != each[wrong]]) for each in chosen]
    planted = [other[wrong] for other in others]
    for row, other, value in zip(chosen, others, planted, strict=True):
        own, its = (families.get(str(each["category"]), each["category"]) for each in (row, other))
        found[str(row["product_id"])] = own != its
        row[wrong] = value
    return found


def _told(output: Path, rows: int, planted: dict[str, bool], wrong: str) -> str:
    queue = review_queue.read(str(output))
    suspects = {name: queue.row(row)["suspect"] for name, row in queue.place.items()}
    other = {name for name, differs in planted.items() if differs}
    named = {name for name, suspect in suspects.items() if suspect == {"image": "photo", "title": "text"}[wrong]}
    found = {name for name, suspect in suspects.items() if suspect}
    return f"{rows} products, {len(planted)} with a wrong {wrong}, {len(other)} of another family; " + (
        f"{len(queue)} rows wait\n"
        + "".join(
            f"{what}: {len(those)}, right {len(those & {*planted})}, precision "
            f"{len(those & {*planted}) / max(len(those), 1):.3f}, recall {len(those & {*planted}) / len(planted):.3f}, "
            f"of another family {len(those & other) / max(len(other), 1):.3f}\n"
            for what, those in (("named", named), ("found", found))
        )
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
