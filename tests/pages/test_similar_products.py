"""The products beside a row of the review: six of its list, with title, category and photo, or a line why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from fashion_udf.pages import review_queue
from fashion_udf.pages.similar_products import READING, SimilarProducts
from tests.pages import queues
from tests.similar import published

LISTS = {"p000000": [f"s{n}" for n in range(9)], "s0": ["p000000"]}
HOW = "There are no similar products of this model: fashion-udf recommend --config conf/similar.yaml --set output.path="


@pytest.fixture
def output(tmp_path: Path) -> Path:
    queues.write(tmp_path, [queues.row(0), queues.row(1)])
    hats = [{"product_id": f"s{n}", "title": f"Hat {n}", "image_uri": f"{n}.png"} for n in range(5)]
    queues.write_products(tmp_path, hats)
    return tmp_path


def _read(output: Path) -> SimilarProducts:
    similar = SimilarProducts(str(output), review_queue.read(str(output)))
    similar.read()
    return similar


def test_the_six_nearest_are_told_with_title_category_and_photo(output: Path) -> None:
    queues.publish_tags(output, {"p000000": "Hats", "p000001": "Shirts", "s0": "Hats", "s1": "Socks"})
    published.publish(output, LISTS)
    similar = _read(output)
    told = similar.of(0)
    assert (told["told"], told["reading"]) == ("", False)
    shown = [(one["product_id"], one["title"], one["category"], one["has_photo"]) for one in told["products"]]
    assert shown == [
        ("s0", "Hat 0", "Hats", True), ("s1", "Hat 1", "Socks", True), ("s2", "Hat 2", None, True),
        ("s3", "Hat 3", None, True), ("s4", "Hat 4", None, True), ("s5", None, None, False),
    ]  # fmt: skip
    place = similar.photo(told["products"][1]["index"])
    assert place is not None and (place.product_id, place.image_uri) == ("s1", "1.png")
    assert similar.photo(10**9) is None


def test_a_row_without_a_list_has_no_products(output: Path) -> None:
    queues.publish_tags(output, {"p000000": "Hats", "p000001": "Shirts"})
    published.publish(output, LISTS)
    assert _read(output).of(1) == {
        "told": "No product is known to be like this one.", "reading": False, "products": []
    }  # fmt: skip


@pytest.mark.parametrize("model", [None, "m2"])
def test_without_lists_of_the_model_a_line_says_how_to_get_them(output: Path, model: str | None) -> None:
    queues.publish_tags(output, {"p000000": "Hats"})
    if model:
        published.publish(output, LISTS, model)
    assert _read(output).of(0) == {"told": f"{HOW}{output} finds them.", "reading": False, "products": []}


def test_until_they_are_read_the_page_says_so(output: Path) -> None:
    similar = SimilarProducts(str(output), review_queue.read(str(output)))
    assert similar.of(0) == {"told": READING, "reading": True, "products": []}


def test_lists_that_cannot_be_read_are_a_line_and_no_error(output: Path) -> None:
    queues.publish_tags(output, {"p000000": "Hats"})
    commit = published.publish(output, LISTS)
    for file in (output / "similar" / "data" / commit.snapshot_id).iterdir():
        file.write_bytes(b"damaged")
    assert _read(output).of(0)["told"].startswith("The similar products cannot be read: ")
