"""Map the columns of a source to those of `CATALOG`: by the config, by name without case, or by a usual name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from fashion_udf.catalog.cells import Role
from fashion_udf.config import Columns
from fashion_udf.errors import CatalogError, ConfigError

PHOTO_COLUMNS: tuple[Role, Role] = ("image", "image_uri")
#: Names of photo columns in exports of shops and in data sets, in lower case and without separators.
USUAL_PHOTOS = (
    *("photo", "photos", "picture", "pictures", "img", "images", "content", "imagebytes", "imagedata", "photobytes"),
    *("imagelink", "imageurl", "imageurls", "imagepath", "imagefile", "imagefilename", "imagename", "imagesrc"),
    *("photolink", "photourl", "photouri", "photopath", "photofile", "pictureurl", "picturepath", "imgurl", "imgpath"),
    *("mainimage", "mainimageurl", "mainimagelink", "baseimage", "primaryimage", "productimage", "productimageurl"),
)
#: Usual names of other columns. An id column of such a name is taken, with a note; any other is named in the error.
USUAL = {
    "product_id": ("id", "sku", "productid", "itemid", "articleid", "itemgroupid", "handle", "uniqid"),
    "title": ("name", "productname", "producttitle", "displayname", "productdisplayname", "posttitle"),
}


@dataclass(frozen=True)
class Place:
    """A column of the source by its key; for a struct, with the path of a field in it."""

    key: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mapped:
    """The mapping of a source.

    Attributes:
        places: the source's column for each column of `CATALOG`. None means that the column is null.
        photo: the photo column; None for a catalog without photos.
        role: what the photo column holds, if the config or its name tells; otherwise None.
        notes: columns that were chosen by a usual name, for people.
    """

    places: dict[str, Place | None]
    photo: Place | None
    role: Role | None
    notes: tuple[str, ...] = field(default=())

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the columns to read."""
        places = [*self.places.values(), self.photo]
        return tuple(dict.fromkeys(place.key for place in places if place is not None))


def mapped(columns: Columns, available: Mapping[str, str]) -> Mapped:
    """Map the columns of a source.

    Args:
        columns: the section of the config.
        available: names as the source writes them, by key (in lower case).

    Raises:
        CatalogError: a column is missing. The message names the most similar one.
        ConfigError: the source has both photo columns, or several usual ones, and the config names none.
    """
    places: dict[str, Place | None] = {}
    notes = []
    for name in ("product_id", "title", "description", "image_version"):
        theirs = cast(str | None, getattr(columns, name))
        place = None if theirs is None else _place(theirs, available)
        # The description is optional unless the config names its column.
        if place is None and theirs is not None and (name != "description" or name in columns.model_fields_set):
            if name == "product_id" and name not in columns.model_fields_set and "id" in available:
                place = Place("id")
                notes.append(f"product_id is the column {available['id']!r} (input.columns.product_id)")
            else:
                raise _missing(name, theirs, available)
        places[name] = place
    photo, role, taken = _photo(columns, available)
    if taken:
        notes.append(f"the photo is the column {taken!r} (input.columns)")
    if photo is None:
        notes.append("the catalog has no photos (input.columns.image is null)")
    return Mapped(places, photo, role, tuple(notes))


def _photo(columns: Columns, available: Mapping[str, str]) -> tuple[Place | None, Role | None, str | None]:
    """Return the photo column, its role, and the usual name by which it was chosen."""
    if columns.image and columns.image_uri:
        raise ConfigError("Expected one of input.columns.image and input.columns.image_uri. Received: both")
    for role in PHOTO_COLUMNS:
        if theirs := cast(str | None, getattr(columns, role)):
            place = _place(theirs, available)
            if place is None:
                raise _missing(role, theirs, available)
            return place, role, None
    denied = [name for name in PHOTO_COLUMNS if name in columns.model_fields_set]
    present = [name for name in PHOTO_COLUMNS if name in available and name not in denied]
    if len(present) == 2:
        raise ConfigError("Expected input.columns to name image or image_uri. Received: neither, the source has both")
    if present:
        return Place(present[0]), "image_uri" if present[0] == "image_uri" else None, None
    if denied:
        return None, None, None
    usual = [name for key, name in available.items() if _bare(key) in USUAL_PHOTOS]
    if len(usual) == 1:
        return Place(usual[0].casefold()), None, usual[0]
    if usual:
        raise ConfigError(
            f"Expected input.columns.image (bytes) or input.columns.image_uri (names) to name the photo column. "
            f"Received: neither, and the source has {', '.join(usual)}"
        )
    raise CatalogError(
        "Expected a photo column: image (bytes), image_uri (names), or another one that input.columns.image or "
        f"input.columns.image_uri names. Received: {', '.join(sorted(available.values()))}. "
        "Set input.columns.image to null for a catalog without photos"
    )


def _place(name: str, available: Mapping[str, str]) -> Place | None:
    if name.casefold() in available:
        return Place(name.casefold())
    parts = name.split(".")
    for at in range(len(parts) - 1, 0, -1):
        if (key := ".".join(parts[:at]).casefold()) in available:
            return Place(key, tuple(parts[at:]))
    return None


def _missing(name: str, theirs: str, available: Mapping[str, str]) -> CatalogError:
    usual = [each for key, each in available.items() if _bare(key) in USUAL.get(name, ())]
    near = [available[key] for key in difflib.get_close_matches(theirs.casefold(), available, n=1)] or usual[:1]
    missing = "Name the source's column" if name == "product_id" else "Name the source's column, or null if it has none"
    hint = f". Did you mean {near[0]!r}?" if near else f". {missing}."
    if len(available) == 1:
        hint += " There is one column: the CSV file may have another delimiter (input.csv.delimiter)"
    return CatalogError(
        f"Expected a column {theirs!r} (input.columns.{name}). Received: {', '.join(sorted(available.values()))}{hint}"
    )


def _bare(key: str) -> str:
    return re.sub(r"[\s_.-]+", "", key)
