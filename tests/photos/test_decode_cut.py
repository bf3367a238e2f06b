"""Photos that end early: none is scored without all its pixels, and most are told from photos that are damaged.

Pillow alone must notice that pixels are missing: for no format do we look for the end of the file before it is decoded.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from fashion_udf.photos import decode, resize
from fashion_udf.photos.decode import Decoded
from fashion_udf.samples.broken_photos import encoded
from fashion_udf.schema import Status

PICTURE = Image.fromarray(np.random.default_rng(5).integers(0, 256, (12, 9, 3), np.uint8)).resize((90, 120))
#: Name -> format, colour mode, and options of the encoder.
SHAPES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "jpeg": ("JPEG", "RGB", {}),
    "jpeg progressive": ("JPEG", "RGB", {"progressive": True}),
    "jpeg restart markers": ("JPEG", "RGB", {"restart_marker_rows": 1}),
    "jpeg cmyk": ("JPEG", "CMYK", {}),
    "png": ("PNG", "RGB", {}),
    "png palette": ("PNG", "P", {}),
    "png animated": ("PNG", "RGB", {"save_all": True}),
    "gif": ("GIF", "P", {}),
    "gif not interlaced": ("GIF", "P", {"interlace": 0}),
    "gif animated": ("GIF", "P", {"save_all": True}),
    "webp": ("WEBP", "RGB", {}),
    "webp alpha": ("WEBP", "RGBA", {}),
    "webp lossless": ("WEBP", "RGB", {"lossless": True}),
    "webp lossless alpha": ("WEBP", "RGBA", {"lossless": True}),
    "webp animated": ("WEBP", "RGB", {"save_all": True}),
    "avif": ("AVIF", "RGB", {}),
    "avif alpha": ("AVIF", "RGBA", {}),
    "avif animated": ("AVIF", "RGB", {"save_all": True}),
    "bmp 24 bits": ("BMP", "RGB", {}),
    "bmp 8 bits": ("BMP", "P", {}),
    "bmp 32 bits": ("BMP", "RGBA", {}),
    "tiff": ("TIFF", "RGB", {}),
    "tiff several": ("TIFF", "RGB", {"save_all": True}),
    "tiff fax": ("TIFF", "1", {"compression": "group4"}),
    **{
        f"tiff {compression}, {rows} rows a strip": (
            "TIFF",
            "RGB",
            {"compression": compression, "tiffinfo": {278: rows}},
        )
        for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd")
        for rows in (8, 120)
    },
}


@pytest.fixture(autouse=True)
def _truncated_photos_stay_refused() -> Iterator[None]:
    yield
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@functools.cache
def _photo(shape: str) -> bytes:
    form, mode, options = SHAPES[shape]
    picture = PICTURE.convert(mode)
    if mode == "RGBA":
        picture.putalpha(PICTURE.convert("L"))
    later = [picture.rotate(angle) for angle in (90, 180)] if "save_all" in options else []
    return encoded(picture, form, append_images=later, **options)


def _without_last_quarter(shape: str) -> Decoded:
    return decode.decode(_photo(shape)[: len(_photo(shape)) * 3 // 4])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_photo_cut_anywhere_is_refused_or_whole(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every pixel is compared: a smaller square may hide the loss of a few.
    monkeypatch.setattr(resize, "draft", lambda image, size: None)
    monkeypatch.setattr(resize, "square", lambda image, size, extent, turned: np.asarray(image.convert("RGBA")))
    data = _photo(shape)
    whole = decode.decode(data).pixels
    assert whole is not None and whole.shape == (120, 90, 4)
    cuts = {len(data) * percent // 100 for percent in range(100)} | set(range(len(data) - 64, len(data)))
    for cut in sorted(cuts):
        pixels = decode.decode(data[:cut]).pixels
        assert pixels is None or np.array_equal(pixels, whole), cut


@pytest.mark.parametrize("shape", ["jpeg", "jpeg progressive", "png", "gif", "bmp 24 bits", "bmp 8 bits", "tiff"])
def test_a_photo_without_its_last_quarter_is_truncated(shape: str) -> None:
    assert _without_last_quarter(shape) == Decoded(
        None,
        Status.IMAGE_TRUNCATED,
        f"{SHAPES[shape][0]}: the file ends before the picture ({len(_photo(shape)) * 3 // 4} bytes)",
    )


@pytest.mark.parametrize("shape", ["webp", "webp lossless", "tiff tiff_lzw, 8 rows a strip"])
def test_a_cut_photo_is_corrupt_where_the_decoder_says_no_more(shape: str) -> None:
    found = _without_last_quarter(shape)
    assert found.status == Status.IMAGE_CORRUPT
    assert found.error in {f"{SHAPES[shape][0]}: damaged ({error})" for error in ("OSError", "SyntaxError")}


@pytest.mark.parametrize(
    ("shape", "mark"), [("jpeg", b"\xff\xda"), ("jpeg progressive", b"\xff\xda"), ("png", b"IDAT")]
)
def test_a_jpeg_or_png_cut_before_its_first_pixel_is_truncated(shape: str, mark: bytes) -> None:
    data = _photo(shape)
    assert {decode.decode(data[:cut]).status for cut in range(3, data.index(mark) + 2)} == {Status.IMAGE_TRUNCATED}
