"""What the photo column of a source holds: photos or their names, and whether Python workers can read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fashion_udf.catalog import cells
from fashion_udf.catalog.cells import Photo, Role
from fashion_udf.catalog.mapping import Mapped, Place
from fashion_udf.catalog.parquet_files import SPARK_ROW
from fashion_udf.errors import CatalogError, ConfigError
from fashion_udf.photos import encoded
from fashion_udf.photos.parquet_photos import PhotoColumn

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SAMPLE = 20  # cells that decide whether a column of text holds photos or their names


def found(frames: Sequence[tuple[str, DataFrame]], mapped: Mapped) -> tuple[list[Photo], PhotoColumn | None]:
    """Return what the photo column of each frame holds, and where Python workers find the photos in the files.

    Args:
        frames: pairs of a file's name and the frame that it belongs to.
        mapped: the mapping of the source.

    Returns:
        The photo columns, all of one role, and their place in the files. The place is None if Spark has to read them.

    Raises:
        CatalogError: some files hold photos and others names, or the column has an unsupported type.
        ConfigError: the config names the wrong one of `image` and `image_uri`.
    """
    from pyspark.sql import functions as F

    role = _role(frames, mapped)
    photos = [_photo(frame, mapped.photo, role, file) for file, frame in frames]
    files = {photo.role: file for photo, (file, _) in zip(photos, frames, strict=True) if photo}
    if len(files) > 1:
        raise CatalogError(
            f"Expected photos, or names of photos, in all files. Received: photos in {files['image']}, names in "
            f"{files['image_uri']}"
        )
    nothing = Photo(next(iter(files), role or "image"), F.lit(None), F.lit(0))
    have_places = all(SPARK_ROW in frame.columns for _, frame in frames)
    return [photo or nothing for photo in photos], _in_files(mapped, filter(None, photos)) if have_places else None


def _in_files(mapped: Mapped, photos: Iterable[Photo]) -> PhotoColumn | None:
    fields = {tuple(tuple(map(str.casefold, names)) for names in photo.fields) for photo in photos}
    id_place, place = mapped.places["product_id"], mapped.photo
    if len(fields) != 1 or id_place is None or place is None:
        return None
    paths = tuple((place.key, *place.fields, *names) for names in fields.pop())
    return PhotoColumn(paths, (id_place.key, *id_place.fields)) if paths else None


def _role(frames: Sequence[tuple[str, DataFrame]], mapped: Mapped) -> Role | None:
    """Return what a photo column of text holds: photos, or names of photos. None means that the type decides.

    Raises:
        ConfigError: the config names the wrong one of `image` and `image_uri`.
    """
    from pyspark.sql import functions as F

    if mapped.photo is None or mapped.role == "image_uri":
        return mapped.role
    held: Role | None = mapped.role
    for _, frame in frames:
        if mapped.photo.key not in frame.columns:
            continue
        column, kind = cells.at(frame, mapped.photo.key, mapped.photo.fields)
        if kind is None or not cells.is_text(kind):
            continue
        held = mapped.role or "image_uri"  # if every cell is empty
        one = column if kind.simpleString() == "string" else F.array_join(column, "|")
        some = frame.select(one.alias("cell")).where(F.length(F.trim("cell")) > F.lit(0)).limit(_SAMPLE).collect()
        given = [cell for row in some if not encoded.is_nothing(cell := row["cell"].encode("utf-8", "replace"))]
        if not given:
            continue
        role: Role = "image" if any(map(encoded.is_photo, given)) else "image_uri"
        if mapped.role == "image" and role == "image_uri" and any(b"." in cell for cell in given):
            raise ConfigError(
                f"Expected photos in the column {mapped.photo.key!r} (input.columns.image). Received: names such as "
                f"{given[0][:100].decode()!r}. Use input.columns.image_uri"
            )
        return mapped.role or role
    return held


def _photo(frame: DataFrame, place: Place | None, role: Role | None, file: str) -> Photo | None:
    """Return the photo column; None if this frame has none."""
    if place is None or place.key not in frame.columns:
        return None
    column, kind = cells.at(frame, place.key, place.fields)
    if kind is not None and (kind.simpleString() == "void" or cells.is_nan_alone(frame, column, kind)):
        return None
    found = cells.photo(column, kind, role) if kind is not None else None
    if found is None:
        received = "no such field" if kind is None else kind.simpleString()
        raise unexpected(role or "image", place, received, file, "binary, text, or a struct or list of these")
    return found


def unexpected(name: str, place: Place, received: str, file: str, expected: str = "string") -> CatalogError:
    """Return the error of a column, or a field of it, with an unexpected type."""
    column = ".".join((place.key, *place.fields))
    return CatalogError(
        f"Expected column {column!r} to be {expected} (input.columns.{name}). Received: {received} in {file}"
    )
