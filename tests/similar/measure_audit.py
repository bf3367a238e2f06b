"""Plant wrong labels and products listed twice among real products, and measure how many the catalog audit finds.

    python -m tests.similar.measure_audit data/fashion-products FOLDER [SEED]

300 products get the label of another category. 300 others are listed again under another id: the photo is cropped by up
to 4 % at each side, up to 8 % brighter or darker and compressed again, and the title has one word less. No product has
its description, because those of the public catalog are of one template.
"""

from __future__ import annotations

import csv
import io
import random
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageEnhance

from fashion_udf.config import JobConfig
from fashion_udf.pipeline import tagging
from fashion_udf.similar import catalog_audit, duplicates, recommending
from fashion_udf.similar.settings import RecommendConfig, Table
from fashion_udf.spark import session

PLANTED = 300
_COPY = "copy-"


def main(source: Path, folder: Path, seed: int = 7) -> None:
    """Write the catalog and its labels, tag it, audit it, and say what was found."""
    draws = random.Random(seed)
    with open(source / "data.csv", encoding="utf-8") as file:
        lines = {Path(line["image"]).stem: line for line in csv.DictReader(file)}
    rows = [
        (name, line["display name"], (source / "data" / line["image"]).read_bytes()) for name, line in lines.items()
    ]
    labels = {name: line["category"] for name, line in lines.items()}
    chosen = draws.sample(rows, 2 * PLANTED)
    twice, wrong = chosen[:PLANTED], {name: labels[name] for name, _, _ in chosen[PLANTED:]}
    names = sorted({*labels.values()})
    labels |= {_COPY + name: labels[name] for name, _, _ in twice}
    labels |= {name: draws.choice([other for other in names if other != label]) for name, label in wrong.items()}
    _write(folder / "catalog", [*rows, *(_copied(draws, *row) for row in twice)], ["product_id", "title", "image"])
    _write(folder / "labels", [*labels.items()], ["product_id", "category"])

    tree = {"input": {"path": str(folder / "catalog")}, "output": {"path": str(folder / "output")}}
    job = JobConfig.model_validate(tree)
    settings = RecommendConfig(output=job.output)
    spark = session.start("measure_audit")
    tagging.tag(spark, job)
    with session.settings(spark, recommending.session_settings(spark, settings)):
        table = Table(path=str(folder / "labels"), format="parquet")
        catalog_audit.audit(spark, settings, job, folder / "findings", table, duplicates.NEAR)
    sys.stdout.write(_told(folder / "findings", wrong, {_COPY + name for name, _, _ in twice}))


def _copied(draws: random.Random, name: str, title: str, photo: bytes) -> tuple[str, str, bytes]:
    image = Image.open(io.BytesIO(photo)).convert("RGB")
    left, top, right, bottom = (draws.uniform(0, 0.04) for _ in range(4))
    width, height = image.size
    image = image.crop(
        (int(left * width), int(top * height), int(width - right * width), int(height - bottom * height))
    )
    image = ImageEnhance.Brightness(image).enhance(draws.uniform(0.92, 1.08))
    file, words = io.BytesIO(), title.split()
    image.save(file, "JPEG", quality=draws.randint(60, 89))
    if len(words) > 3:
        words.pop(draws.randrange(1, len(words) - 1))
    return _COPY + name, " ".join(words), file.getvalue()


def _write(folder: Path, rows: list[tuple[object, ...]], names: list[str]) -> None:
    folder.mkdir(parents=True)
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    pq.write_table(pa.table(columns, names), folder / "part.parquet", row_group_size=200)


def _told(findings: Path, wrong: dict[str, str], copies: set[str]) -> str:
    labels = pq.read_table(findings / "mislabelled.parquet").to_pylist()
    hits = [row["product_id"] in wrong for row in labels]
    right = sum(wrong.get(row["product_id"]) == row["suggested"] for row in labels)
    pairs = pq.read_table(findings / "duplicates.parquet").to_pylist()
    near = [row for row in pairs if not row["same_photo"]]
    found = [any(_COPY + one == other and other in copies for one, other in _both_ways(row)) for row in near]
    return (
        f"labels: {len(labels)} findings, {sum(hits)} planted, {right} with the right suggestion; {_precision(hits)}\n"
        f"duplicates: {len(pairs)} pairs, {len(pairs) - len(near)} with the same photo; of the others {sum(found)} "
        f"planted; {_precision(found)}\n"
    )


def _both_ways(pair: dict[str, str]) -> list[tuple[str, str]]:
    one, other = pair["product_id"], pair["other_id"]
    return [(one, other), (other, one)]


def _precision(hits: list[bool]) -> str:
    return ", ".join(
        f"of the first {most} {sum(hits[:most]) / max(len(hits[:most]), 1):.1%}" for most in (100, 200, 300)
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
