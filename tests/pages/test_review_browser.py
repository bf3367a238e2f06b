"""The review in a real browser: every key, the grid, two people, hostile catalogs, accessibility, no other host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fashion_udf.table import decisions
from fashion_udf.table.decisions import Decisions
from fashion_udf.table.stores import open_store
from tests.pages import browser as browsers
from tests.pages import queues
from tests.similar import published

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
ARABIC = "قميص أزرق للرجال"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsers.chromium() as found:
        yield found


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that fails its test on an error of its script, and on a request to anybody but the review."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    made, errors, asked = context.new_page(), [], set()
    made.on("pageerror", lambda error: errors.append(str(error)))
    made.on("request", lambda request: asked.add(request.url.split("/")[2]))
    yield made
    served = made.url.split("/")[2]
    context.close()
    assert errors == [] and asked == {served}


def _newest(output: Path) -> dict[str, str]:
    return decisions.categories(Decisions(open_store(str(output))).read())


def _title(page: Any, text: str) -> None:
    page.wait_for_function("text => document.getElementById('title').textContent === text", arg=text)


def _decided(page: Any, count: int) -> None:
    page.wait_for_function(
        "count => document.getElementById('progress').textContent.startsWith(`${count} of`)", arg=count
    )


def _open(page: Any, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("#top button, #message:not(:empty)")


def _write(output: Path, count: int) -> None:
    photos = output.parent / "photos"
    photos.mkdir()
    rows = []
    for number in range(count):
        (photos / f"{number}.png").write_bytes(queues.photo("red" if number % 2 else "blue"))
        rows.append(queues.row(number, image_uri=f"{number}.png"))
    queues.write(output, rows, {"image_roots": [str(photos)]})


def test_every_key_does_what_it_says(page: Any, tmp_path: Path) -> None:
    _write(tmp_path / "out", 12)
    with queues.served(tmp_path / "out") as address:
        _open(page, address)
        _title(page, "Product 0 of Hats")
        for key, title in (("1", "Product 1 of Shirts"), ("3", "Product 2 of Shoes"), (" ", "Product 3 of Hats")):
            page.keyboard.press(key)
            _title(page, title)
        page.keyboard.press("x")
        _title(page, "Product 4 of Shirts")
        page.keyboard.press("/")
        page.keyboard.type("wat")
        page.keyboard.press("Enter")
        _title(page, "Product 5 of Shoes")
        page.keyboard.press("u")
        _title(page, "Product 4 of Shirts")
        _decided(page, 3)
        assert _newest(tmp_path / "out") == {"p000000": "Hats", "p000001": "Shoes", "p000002": "Shoes"}
        page.keyboard.press("5")
        _title(page, "Product 5 of Shoes")
        for key, title in (("2", "Product 6 of Hats"), ("4", "Product 7 of Shirts")):
            page.keyboard.press(key)
            _title(page, title)
        _decided(page, 6)
        chosen = _newest(tmp_path / "out")
        assert [chosen[f"p00000{number}"] for number in (4, 5, 6)] == ["Tops", "Hats", "Socks"]
        page.wait_for_function("() => document.getElementById('photo').naturalWidth === 640")


def test_a_grid_confirms_many_and_leaves_out_what_was_picked(page: Any, tmp_path: Path) -> None:
    _write(tmp_path / "out", 30)
    with queues.served(tmp_path / "out") as address:
        _open(page, address)
        page.keyboard.press("g")
        page.wait_for_selector("#grid button")
        assert page.locator("#manytitle").text_content() == "Are these 10 all Hats?"
        for key, title in (("ArrowRight", 3), ("ArrowDown", 27), ("ArrowUp", 3), ("ArrowLeft", 0), ("ArrowRight", 3)):
            page.keyboard.press(key)
            assert f"Product {title} of" in page.evaluate("document.activeElement.textContent"), key
        page.keyboard.press("Enter")
        assert page.locator('#grid [aria-pressed="true"]').count() == 1
        page.keyboard.press("c")
        _decided(page, 9)
        assert _newest(tmp_path / "out") == {f"p{number:06d}": "Hats" for number in range(0, 30, 3) if number != 3}
        page.keyboard.press("g")
        _title(page, "Product 3 of Hats")
        page.keyboard.press("u")
        _decided(page, 0)


def test_two_people_decide_on_different_rows(browser: Any, tmp_path: Path) -> None:
    _write(tmp_path / "out", 60)
    with queues.served(tmp_path / "out", "ann") as first, queues.served(tmp_path / "out", "bob") as second:
        pages = [browser.new_context().new_page() for _ in range(2)]
        for page, address in zip(pages, (first, second), strict=True):
            _open(page, address)
        for _ in range(8):
            for page in pages:
                page.keyboard.press(" ")
        for page in pages:
            page.wait_for_function("() => / 8 by you/.test(document.getElementById('progress').textContent)")
    found = Decisions(open_store(str(tmp_path / "out"))).read()
    assert len({one.product_id for one in found}) == len(found) == 16
    assert sorted(one.by for one in found) == ["ann"] * 8 + ["bob"] * 8


def test_a_hostile_catalog_is_shown_as_text(page: Any, tmp_path: Path) -> None:
    rows = [
        queues.row(0, title=HOSTILE, description=HOSTILE, category=HOSTILE, product_id=HOSTILE, status="image_missing"),
        queues.row(1, title=ARABIC, description=ARABIC * 200),
        queues.row(2, title="long", description="x" * 10_000_000),
    ]
    queues.write(tmp_path, rows)
    with queues.served(tmp_path) as address:
        _open(page, address)
        _title(page, HOSTILE)
        assert page.title() == "Review" and page.locator("script").count() == 1
        assert page.locator("main img[src=x]").count() == 0
        page.keyboard.press("x")
        _title(page, ARABIC)
        assert page.evaluate("getComputedStyle(document.getElementById('title')).direction") == "rtl"
        page.keyboard.press("x")
        _title(page, "long")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert page.title() == "Review"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["one", "many"])
def test_axe_finds_nothing_wrong(browser: Any, tmp_path: Path, view: str, scheme: str) -> None:
    _write(tmp_path / "out", 12)
    with queues.served(tmp_path / "out") as address:
        page = browser.new_context(color_scheme=scheme, bypass_csp=True).new_page()
        _open(page, address)
        if view == "many":
            page.keyboard.press("g")
            page.wait_for_selector("#grid button")
        assert browsers.accessibility_problems(page) == []


def test_filters_choose_the_rows_and_the_keyboard_alone_reaches_everything(page: Any, tmp_path: Path) -> None:
    _write(tmp_path / "out", 9)
    with queues.served(tmp_path / "out") as address:
        _open(page, address)
        page.select_option("#category", "Shoes")
        _title(page, "Product 2 of Shoes")
        page.fill("#text", "Product 8")
        _title(page, "Product 8 of Shoes")
        reached = set()
        page.keyboard.press("Escape")
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        assert {"mode", "export", "category", "text", "description", "other", "accept", "skip", "undo"} <= reached


def test_the_most_similar_products_stand_beside_the_row_with_photo_title_and_category(
    page: Any, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    _write(output, 4)
    queues.write_products(
        output, [{"product_id": f"s{n}", "title": f"Alike {n}", "image_uri": f"{n}.png"} for n in range(2)]
    )
    queues.publish_tags(output, {"s0": "Hats", "s1": "Socks"})
    published.publish(output, {"p000000": ["s0", "s1", "s2"]})
    with queues.served(output) as address:
        _open(page, address)
        page.wait_for_selector("#alike li:nth-child(3)")
        assert page.locator("#alike li").all_text_contents() == ["HatsAlike 0", "SocksAlike 1", "no photono categorys2"]
        page.wait_for_function("() => document.querySelector('#alike img').naturalWidth === 160")
        assert page.locator("#alike .other").all_text_contents() == ["Socks", "no category"]
        page.keyboard.press("x")
        page.wait_for_function("() => document.getElementById('told').textContent.startsWith('No product is known')")
        assert page.locator("#alike li").count() == 0


def test_without_similar_products_a_line_says_how_to_get_them(page: Any, tmp_path: Path) -> None:
    _write(tmp_path / "out", 4)
    with queues.served(tmp_path / "out") as address:
        _open(page, address)
        page.wait_for_function("() => document.getElementById('told').textContent.includes('fashion-udf recommend')")


def test_a_photo_that_cannot_be_shown_is_said_in_words(page: Any, tmp_path: Path) -> None:
    _write(tmp_path / "out", 4)
    (tmp_path / "photos" / "0.png").write_bytes(b"no photo")
    with queues.served(tmp_path / "out") as address:
        _open(page, address)
        page.wait_for_selector("#nophoto:not([hidden])")
        page.keyboard.press("g")
        page.wait_for_selector("#grid i")
        assert page.locator("#grid button").all_text_contents() == ["no photoProduct 0 of Hats", "Product 3 of Hats"]
