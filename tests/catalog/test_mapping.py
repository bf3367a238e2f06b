"""Which column is which: without case, by usual names, and never in silence."""

from __future__ import annotations

from typing import Any

import pytest

from fashion_udf.catalog.mapping import Mapped, Place, mapped
from fashion_udf.config import Columns
from fashion_udf.errors import CatalogError, ConfigError


def _mapped(*names: str, **columns: Any) -> Mapped:
    return mapped(Columns(**columns), {name.casefold(): name for name in names})


def test_names_are_matched_without_case_and_a_field_of_a_struct_by_its_path() -> None:
    found = _mapped("PRODUCT_ID", "Title", "Description", "Photo", title="TITLE", image="photo.Bytes")
    assert found.places == {
        "product_id": Place("product_id"),
        "title": Place("title"),
        "description": Place("description"),
        "image_version": None,
    }
    assert (found.photo, found.role) == (Place("photo", ("Bytes",)), "image")
    assert found.keys == ("product_id", "title", "description", "photo")
    assert _mapped("product_id", "title", "a.b", image="a.b").photo == Place("a.b"), "a name may have a dot"


@pytest.mark.parametrize(
    "name", ["photo", "Picture", "image_link", "Image Src", "IMAGE-URL", "content", "base_image", "Images"]
)
def test_a_usual_name_of_a_photo_column_is_taken_and_told(name: str) -> None:
    found = _mapped("product_id", "title", name, "additional_image_link")
    assert (found.photo, found.role) == (Place(name.casefold()), None)
    assert found.notes == (f"the photo is the column {name!r} (input.columns)",)


def test_our_own_names_go_before_usual_ones() -> None:
    found = _mapped("product_id", "title", "IMAGE", "photo")
    assert (found.photo, found.role, found.notes) == (Place("image"), None, ())
    assert _mapped("product_id", "title", "Image_URI").role == "image_uri"


def test_several_photo_columns_need_a_choice() -> None:
    with pytest.raises(ConfigError, match="Received: neither, the source has both"):
        _mapped("product_id", "title", "image", "image_uri")
    with pytest.raises(ConfigError, match="Received: neither, and the source has photo, picture"):
        _mapped("product_id", "title", "photo", "picture")
    with pytest.raises(ConfigError, match="Received: both"):
        _mapped("product_id", "title", "image", "image_uri", image="image", image_uri="image_uri")
    assert _mapped("product_id", "title", "image", "image_uri", image_uri="image_uri").role == "image_uri"
    assert _mapped("product_id", "title", "image", "image_uri", image=None).photo == Place("image_uri")


def test_a_catalog_without_a_photo_column_is_refused_unless_the_config_says_so() -> None:
    with pytest.raises(CatalogError, match=r"Expected a photo column: image .* Received: product_id, title. Set input"):
        _mapped("product_id", "title")
    found = _mapped("product_id", "title", image=None)
    assert found.photo is None and found.notes == ("the catalog has no photos (input.columns.image is null)",)


def test_a_missing_column_is_named_with_the_nearest_or_a_usual_one() -> None:
    with pytest.raises(CatalogError, match=r"Expected a column 'title' .*\. Did you mean 'titel'\?"):
        _mapped("product_id", "titel", "image")
    with pytest.raises(CatalogError, match=r"Expected a column 'title' .*\. Did you mean 'Display Name'\?"):
        _mapped("product_id", "Display Name", "image")
    with pytest.raises(CatalogError, match="Expected a column 'details'"):
        _mapped("product_id", "title", "image", description="details")
    with pytest.raises(CatalogError, match=r"another delimiter \(input\.csv\.delimiter\)"):
        _mapped("product_id^title")


def test_an_id_column_is_taken_for_the_product_id_and_told() -> None:
    found = _mapped("ID", "title", "image")
    assert found.places["product_id"] == Place("id")
    assert found.notes == ("product_id is the column 'ID' (input.columns.product_id)",)
    with pytest.raises(CatalogError, match=r"Did you mean 'sku'\?"):
        _mapped("sku", "title", "image")
