"""Photos written as text, in the forms that exports use, and everything else as it is."""

from __future__ import annotations

import base64
import io
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fashion_udf.photos.encoded import is_nothing, is_photo, photo_bytes


def _photo(form: str) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((24, 24), 80).save(file, form)
    return file.getvalue()


PHOTOS = {form: _photo(form) for form in ("JPEG", "PNG", "GIF", "BMP", "WEBP")}


@pytest.mark.parametrize("photo", PHOTOS.values(), ids=PHOTOS)
def test_every_usual_form_of_text_becomes_the_photo(photo: bytes) -> None:
    plain = base64.b64encode(photo)
    forms = {
        "base64": plain,
        "line ends": base64.encodebytes(photo),
        "line ends of Windows": base64.encodebytes(photo).replace(b"\n", b"\r\n"),
        "url-safe": base64.urlsafe_b64encode(photo),
        "url-safe without its end": base64.urlsafe_b64encode(photo).rstrip(b"="),
        "data URI": b"data:image/jpeg;base64," + plain,
        "data URI in capitals": b"DATA:image/png;charset=utf-8;BASE64," + plain,
        "data URI, escaped": b"data:image/png;base64," + quote(plain.decode()).encode(),
        "data URI without base64": b"data:image/png," + quote(photo).encode(),
        "hex of PostgreSQL": b"\\x" + photo.hex().encode(),
        "hex": photo.hex().upper().encode(),
        "hex of SQL Server": b"0x" + photo.hex().encode(),
        "hex of MySQL": b"X'" + photo.hex().encode() + b"'",
        "Python": repr(plain).encode(),
        "quotation marks and blanks": b' "' + plain + b'"\n',
        "slashes of JSON": plain.replace(b"/", b"\\/"),
    }
    assert {name: photo_bytes(text) == photo for name, text in forms.items()} == dict.fromkeys(forms, True)
    assert {name: is_photo(text) for name, text in forms.items()} == dict.fromkeys(forms, True)
    assert photo_bytes(photo) is photo


@pytest.mark.parametrize("cell", [b"!", b"photos/a.jpg", b"https://shop.example/a.jpg", b"", b"caf\xe9", b"data:,"])
def test_any_other_cell_is_returned_as_it_is_to_get_its_status(cell: bytes) -> None:
    assert photo_bytes(cell) is cell
    assert not is_photo(cell)


def test_a_long_name_that_could_be_base64_is_a_name() -> None:
    assert not is_photo(b"/photos/women/dresses/summer/2026/blue/0001234")


@given(st.binary(max_size=60))
def test_no_cell_raises(cell: bytes) -> None:
    assert isinstance(photo_bytes(cell), bytes)
    assert isinstance(is_photo(cell), bool)


def test_what_programs_write_for_no_photo_is_nothing() -> None:
    assert all(map(is_nothing, (b"", b"  \n", b"nan", b"NaN", b"NULL", b" None ", b"<NA>", b"\\N")))
    assert not any(map(is_nothing, (b"nan.jpg", b"0", PHOTOS["PNG"])))
