"""Plant wrong photos among real products that the model was not trained on, and measure how many a night finds.

    python -m tests.pages.measure_wrong_photos data/fashion-products FOLDER

One product in ten of validation and test gets the photo of another product. A planted photo counts as found if the
review queue says that the photo is the suspect. A photo of the same family shows the same kind of goods, so the recall
is stated of all planted ones and of those of another family.
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
from fashion_udf.table.stores import open_store
from training.data import split

SHARE, SEED = 0.1, 7


def main(source: Path, folder: Path) -> None:
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
    planted = _plant(rows)
    (folder / "catalog").mkdir(parents=True)
    table = pa.Table.from_pylist(rows).select(["product_id", "title", "description", "image"])
    pq.write_table(table, folder / "catalog" / "part.parquet", row_group_size=200)
    tree = {"input": {"path": str(folder / "catalog")}, "output": {"path": str(folder / "out")}}
    run_report.tag(spark, JobConfig.model_validate({**tree, "pages": {"scored_alone": len(rows)}}))
    sys.stdout.write(_told(folder / "out", len(rows), planted))


def _plant(rows: list[dict[str, object]]) -> dict[str, bool]:
    """Give one product in ten another's photo; returns whether the photo is of another family, by product."""
    draws, families = random.Random(SEED), bundle.read("builtin").taxonomy.by_category
    wrong, found = draws.sample(rows, int(len(rows) * SHARE)), {}
    others = [draws.choice([row for row in rows if row["image"] != each["image"]]) for each in wrong]
    photos = [other["image"] for other in others]
    for row, other, photo in zip(wrong, others, photos, strict=True):
        own, its = (families.get(str(each["category"]), each["category"]) for each in (row, other))
        found[str(row["product_id"])] = own != its
        row["image"] = photo
    return found


def _told(output: Path, rows: int, planted: dict[str, bool]) -> str:
    queue = review_queue.read(open_store(str(output)))
    suspects = {name for name, row in queue.place.items() if queue.row(row)["suspect"] == "photo"}
    right, other = suspects & {*planted}, {name for name, differs in planted.items() if differs}
    return (
        f"{rows} products, {len(planted)} wrong photos, {len(other)} of another family; {len(queue)} rows wait\n"
        f"photo suspected {len(suspects)}, right {len(right)}: precision {len(right) / max(len(suspects), 1):.3f}, "
        f"recall {len(right) / len(planted):.3f}, of another family {len(right & other) / max(len(other), 1):.3f}\n"
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
