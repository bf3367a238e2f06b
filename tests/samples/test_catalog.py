"""The generated catalog: the same for the same seed, garments one can see, and rows as broken as they say."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fashion_udf.samples.broken_photos import UNREADABLE
from fashion_udf.samples.catalog import CATEGORIES, COLOURS, TITLES, Product, broken_products, garment, products
from fashion_udf.samples.sketch import Fabric, Sketch, ellipse

TRAINING_CATEGORIES = {
    "Tshirts", "Shirts", "Casual Shoes", "Watches", "Handbags", "Heels",
    "Sunglasses", "Jeans", "Dresses", "Backpacks", "Ties", "Belts",
}  # fmt: skip


@pytest.fixture(scope="module")
def drawn() -> list[Product]:
    return list(products(60, seed=5))


@pytest.fixture(scope="module")
def broken() -> dict[str, Product]:
    return {row.product_id: row for row in broken_products(seed=5)}


def _opened(row: Product) -> Image.Image:
    assert row.image is not None
    picture = Image.open(io.BytesIO(row.image))
    picture.load()
    return picture


def _pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"), np.int16)


def test_the_categories_are_twelve_the_model_is_trained_on() -> None:
    assert set(CATEGORIES) == TRAINING_CATEGORIES == set(TITLES)
    assert len(CATEGORIES) == 12


def test_the_same_seed_yields_the_same_bytes_however_many_are_drawn(
    drawn: list[Product], broken: dict[str, Product]
) -> None:
    assert list(products(12, seed=5)) == drawn[:12]
    assert list(broken_products(seed=5)) == list(broken.values())


def test_another_seed_yields_other_pictures_and_titles(drawn: list[Product]) -> None:
    other = list(products(12, seed=6))
    assert not {row.image for row in other} & {row.image for row in drawn}
    assert [row.title for row in other] != [row.title for row in drawn[:12]]


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_garment_stands_out_from_a_nearly_white_background(category: str) -> None:
    for seed in range(6):
        pixels = _pixels(garment(category, np.random.default_rng(seed)))
        assert pixels.shape == (224, 224, 3)
        background = pixels[0, 0]
        assert background.min() >= 240
        covered = (np.abs(pixels - background).max(axis=2) > 25).mean()
        assert 0.06 < covered < 0.75
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert (np.abs(border - background).max(axis=1) < 40).mean() > 0.95  # nothing is cut off by the frame


@pytest.mark.parametrize("category", CATEGORIES)
def test_no_two_garments_of_a_category_are_alike(category: str) -> None:
    rng = np.random.default_rng(0)
    shapes = [(_pixels(garment(category, rng, 64)).min(axis=2) < 225) for _ in range(5)]
    for one, other in itertools.combinations(shapes, 2):
        assert (one != other).any()


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(CATEGORIES), st.integers(0, 2**32), st.integers(16, 96))
def test_any_seed_and_size_can_be_drawn(category: str, seed: int, size: int) -> None:
    picture = garment(category, np.random.default_rng(seed), size)
    assert (picture.mode, picture.size) == ("RGB", (size, size))
    assert np.ptp(_pixels(picture)) > 0


def test_the_edges_are_smooth() -> None:
    sketch = Sketch(100, np.random.default_rng(1))
    sketch.fill(ellipse(0.5, 0.5, 0.3, 0.3), Fabric((0, 0, 0)))
    levels = _pixels(sketch.finish())[..., 0]
    # The shadow leaves the ground lighter than 190, so levels between are edge pixels that the disc covers in part.
    assert ((levels > 30) & (levels < 180)).sum() > 60


def test_an_unknown_category_is_refused_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"Expected one of Tshirts, .*, Belts\. Received: 'Hats'"):
        garment("Hats", np.random.default_rng(0))


def test_every_category_gets_its_share(drawn: list[Product]) -> None:
    assert [row.category for row in drawn] == list(CATEGORIES) * 5


def test_a_product_is_a_jpeg_with_a_title_naming_its_colour_or_without_any_text(drawn: list[Product]) -> None:
    for row in drawn:
        picture = _opened(row)
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (224, 224))
        if row.title is None:
            assert row.description is None
        else:
            assert any(colour in row.title for colour in COLOURS)
    assert 1 <= sum(row.title is None for row in drawn) <= 6


def test_descriptions_are_left_out_written_or_in_html_and_never_name_the_category(drawn: list[Product]) -> None:
    titled = [row for row in drawn if row.title]
    written = [row.description for row in titled if row.description]
    assert 0.2 < 1 - len(written) / len(titled) < 0.5
    assert 0.1 < sum(text.startswith("<") for text in written) / len(written) < 0.5
    assert len(set(written)) == len(written)
    for row in titled:
        nouns = TITLES[row.category or ""][1]
        assert not any(noun.lower() in (row.description or "").lower() for noun in (row.category or "", *nouns))
        assert "{" not in (row.description or "")


def test_most_titles_name_the_garment_and_some_leave_it_to_the_photo(drawn: list[Product]) -> None:
    named = [row.title.endswith(TITLES[row.category][1]) for row in drawn if row.title and row.category]
    assert 0.7 < np.mean(named) < 1.0


def test_no_id_is_null_or_repeated(drawn: list[Product]) -> None:
    ids = [row.product_id for row in [*drawn, *broken_products(seed=5)]]
    assert all(ids)
    assert len(set(ids)) == len(ids)


def test_about_forty_rows_are_broken_or_odd(broken: dict[str, Product]) -> None:
    assert 36 <= len(broken) <= 48


@pytest.mark.filterwarnings("default")  # a picture cut short also warns, in some formats
@pytest.mark.parametrize("kind", [kind for kind in UNREADABLE if kind != "eps"])
def test_a_broken_photo_cannot_be_decoded(kind: str, broken: dict[str, Product]) -> None:
    with pytest.raises((OSError, SyntaxError, Image.DecompressionBombError)):
        _opened(broken[f"odd-{kind}"])


def test_the_postscript_is_what_pillow_would_give_to_ghostscript(broken: dict[str, Product]) -> None:
    image = broken["odd-eps"].image
    assert image is not None
    with Image.open(io.BytesIO(image)) as picture:
        assert picture.format == "EPS"  # so only a list of allowed formats keeps it out


def test_a_small_png_declares_a_huge_picture(broken: dict[str, Product]) -> None:
    bomb = broken["odd-png-bomb-40000x40000"].image
    assert bomb is not None and len(bomb) < 100
    with pytest.raises(Image.DecompressionBombError, match="1600000000 pixels"):
        Image.open(io.BytesIO(bomb))


UNUSUAL = {
    "jpeg-cmyk": ("JPEG", "CMYK", (224, 224)),
    "jpeg-grey": ("JPEG", "L", (224, 224)),
    "jpeg-progressive": ("JPEG", "RGB", (224, 224)),
    "jpeg-exif-rotated": ("JPEG", "RGB", (224, 224)),
    "jpeg-wide": ("JPEG", "RGB", (3000, 12)),
    "jpeg-tall": ("JPEG", "RGB", (12, 3000)),
    "png-16-bit": ("PNG", "I;16", (224, 224)),
    "png-transparent": ("PNG", "RGBA", (224, 224)),
    "png-palette": ("PNG", "P", (224, 224)),
    "png-1x1": ("PNG", "RGB", (1, 1)),
    "gif-animated": ("GIF", "P", (224, 224)),
    "webp": ("WEBP", "RGB", (224, 224)),
    "bmp": ("BMP", "RGB", (224, 224)),
    "tiff": ("TIFF", "RGB", (224, 224)),
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_an_unusual_photo_is_readable_and_of_its_kind(kind: str, broken: dict[str, Product]) -> None:
    picture = _opened(broken[f"odd-{kind}"])
    assert (picture.format, picture.mode, picture.size) == UNUSUAL[kind]


def test_the_special_features_of_unusual_photos_are_there(broken: dict[str, Product]) -> None:
    assert getattr(_opened(broken["odd-gif-animated"]), "n_frames", 1) == 3
    assert _opened(broken["odd-jpeg-progressive"]).info["progressive"]
    assert _opened(broken["odd-png-transparent"]).getchannel("A").getextrema() == (0, 255)
    assert np.asarray(_opened(broken["odd-png-16-bit"])).max() > 60_000


def test_the_rotated_photo_turned_as_its_tag_says_is_the_upright_one(broken: dict[str, Product]) -> None:
    lying = _opened(broken["odd-jpeg-exif-rotated"])
    assert lying.getexif()[0x0112] == 6
    upright = _pixels(_opened(broken["odd-bmp"]))
    turned = _pixels(lying.transpose(Image.Transpose.ROTATE_270))
    # JPEG blurs fine checks; a picture turned the wrong way is off by far more.
    wrong = [np.abs(_pixels(lying) - upright).mean(), np.abs(turned[::-1, ::-1] - upright).mean()]
    assert np.abs(turned - upright).mean() < 0.4 * min(wrong)


def test_every_photo_kind_is_either_unreadable_or_unusual(broken: dict[str, Product]) -> None:
    photos = {name.removeprefix("odd-") for name, row in broken.items() if name.removeprefix("odd-") in UNREADABLE}
    texts = {name for name in broken if name.startswith(("odd-title", "odd-description", "odd-long"))}
    rest = {name.removeprefix("odd-") for name in broken} - photos - {name.removeprefix("odd-") for name in texts}
    assert photos == set(UNREADABLE)
    assert rest == {*UNUSUAL, "photo-none", "nothing-to-score"}


def test_the_texts_are_as_odd_as_they_say(broken: dict[str, Product]) -> None:
    assert broken["odd-photo-none"].image is None and broken["odd-photo-none"].title
    assert broken["odd-title-empty"].title == ""
    assert (broken["odd-title-and-description-none"].title, broken["odd-title-and-description-none"].description) == (
        None,
        None,
    )
    assert len(broken["odd-title-very-long"].title or "") >= 10_000
    assert len(broken["odd-description-very-long"].description or "") >= 10_000
    assert "\U0001f455" in (broken["odd-title-emoji"].title or "")
    assert "\u202e" in (broken["odd-title-right-to-left"].title or "")
    assert {"\x00", "\x1b", "\n"} <= set(broken["odd-title-control-characters"].title or "")
    assert {",", '"', "'"} <= set(broken["odd-title-quotes-and-commas"].title or "")


def test_one_row_has_nothing_to_score(broken: dict[str, Product]) -> None:
    row = broken["odd-nothing-to-score"]
    assert row.image is None and row.description is None
    assert row.title and not row.title.strip()


def test_a_row_with_an_odd_text_keeps_a_good_photo(broken: dict[str, Product]) -> None:
    for name in ("title-empty", "title-and-description-none", "title-very-long", "title-control-characters"):
        assert _opened(broken[f"odd-{name}"]).size == (224, 224)
