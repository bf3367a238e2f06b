"""Pictures of no product: of kinds that no training sees, the same each time, decoded like any photo."""

from __future__ import annotations

from fashion_udf.photos import decode
from training.evaluation import odd_rows


def test_pictures_are_the_same_each_time_and_decode() -> None:
    rows = list(odd_rows.rows(64))
    assert len(rows) == odd_rows.COUNT == len({row["product_id"] for row in rows})
    assert rows == list(odd_rows.rows(64))
    assert len({row["image"] for row in rows}) > 0.9 * odd_rows.COUNT
    for row in rows[:20]:
        pixels = decode.decode(row["image"], 64).pixels
        assert pixels is not None and pixels.shape == (64, 64, 3)
