"""The first look at a photo's bytes: format, end and orientation, from bytes that nobody vouches for."""

from __future__ import annotations

import io
import random
import struct
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from fashion_udf.photos import formats
from fashion_udf.photos.formats import ALLOWED_FORMATS, is_cut_short, jpeg_parts, jpeg_scans, orientation, sniff

PICTURE = Image.frombytes("RGB", (40, 50), random.Random(1).randbytes(6000))


def _encoded(form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    PICTURE.save(file, form, **options)
    return file.getvalue()


def _exif(order: str, kind: int, value: bytes, tag: int = 274, count: int = 1) -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}IHHHI", 8, 1, tag, kind, count) + value.ljust(4, b"\0") + bytes(4)


@pytest.mark.parametrize("form", ALLOWED_FORMATS)
def test_each_allowed_format_is_told_by_its_first_bytes(form: str) -> None:
    assert sniff(_encoded(form)) == form
    assert sniff(_encoded(form)[:40]) == form


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b"II+\0" + bytes(20), "TIFF"),
        (b"MM\0+" + bytes(20), "TIFF"),
        (b"GIF87a" + bytes(20), "GIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif", "AVIF"),
        (b"\0\0\0\x1cftypavis\0\0\0\0avismsf1", "AVIF"),
        (b"\0\0\0\x14ftypheic\0\0\0\0heicavif", None),  # the brand lies behind the box
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", None),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", None),
        (b"BMW, blue, like new, size 42", None),
        (b"RIFF\x24\0\0\0WAVEfmt ", None),
        (b"8BPS\0\1" + bytes(20), None),
        (b"\0\0\1\0\1\0" + bytes(20), None),
        (b"%PDF-1.7 \xff\xd8\xff", None),
        (b"\xff\xd8\0\xff", None),
        (b" \x89PNG\r\n\x1a\n", None),
        (b"\x89PNG\n\x1a\n" + bytes(20), None),  # an upload in text mode
        (b"", None),
    ],
)
def test_the_mark_decides_and_nothing_but_the_mark(data: bytes, form: str | None) -> None:
    assert sniff(data) == form


@pytest.mark.parametrize("form", ALLOWED_FORMATS)
def test_a_mark_cut_off_in_the_middle_still_starts_a_photo(form: str) -> None:
    whole = _encoded(form)
    told = next(length for length in range(len(whole)) if sniff(whole[:length]))
    assert formats.starts_a_photo(whole[: told - 1])
    assert not formats.starts_a_photo(b"no photo at all!")
    assert not formats.starts_a_photo(b"\xff\xd8" + bytes(20))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"comment": b"x" * 60_000}])
def test_a_jpeg_without_metadata_is_the_same_picture(options: dict[str, Any]) -> None:
    exif = Image.Exif()
    exif[274], exif[270] = 6, "private description"
    whole = _encoded("JPEG", exif=exif, icc_profile=b"private profile" * 9, **options)
    picture, block = jpeg_parts(whole)
    assert b"private" not in picture and b"private description" in block and b"xxx" not in picture
    assert orientation(block) == 6
    stripped, original = Image.open(io.BytesIO(picture)), Image.open(io.BytesIO(whole))
    assert stripped.tobytes() == original.tobytes()
    assert "exif" not in stripped.info and "icc_profile" not in stripped.info


def test_the_first_exif_block_counts_and_fill_bytes_and_junk_are_passed_over() -> None:
    def app1(block: bytes) -> bytes:
        return b"\xff\xff\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block + b"junk"

    whole = _encoded("JPEG")
    picture, block = jpeg_parts(whole[:2] + app1(b"first") + app1(b"second") + b"\xff\x01\xff\xd8" + whole[2:])
    assert block == b"first"
    assert Image.open(io.BytesIO(picture)).tobytes() == Image.open(io.BytesIO(whole)).tobytes()


@pytest.mark.parametrize("form", ["baseline", "progressive"])
def test_scans_are_counted_and_a_film_behind_the_photo_is_not(form: str) -> None:
    whole = _encoded("JPEG", progressive=form == "progressive")
    scans = jpeg_scans(whole)
    assert (scans == 1) == (form == "baseline") and scans <= 10
    assert jpeg_scans(whole + b"\xff\xda film" * 1000) == scans


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "code"), [(1, "B"), (3, "H"), (4, "I")])
def test_each_orientation_is_read_in_both_byte_orders_and_integer_types(order: str, kind: int, code: str) -> None:
    for value in range(1, 9):
        block = _exif(order, kind, struct.pack(order + code, value))
        assert orientation(block) == orientation(b"Exif\0\0" + block) == value


@pytest.mark.parametrize(
    "block",
    [
        *(_exif("<", 3, struct.pack("<H", value)) for value in (0, 9, 65_535)),
        _exif("<", 3, b"\6\0", tag=275),
        _exif("<", 2, b"6\0"),
        _exif("<", 5, b"\6\0"),
        _exif("<", 3, b"\6\0", count=0),
        _exif("<", 3, b"\6\0", count=2**32 - 1),
        _exif("<", 4, b"\xff\xff\xff\x7f", count=9),  # the values lie behind the end
        _exif("<", 3, b"\6\0")[:-9],
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff",
        b"II*\0",
        b"Exif\0\0",
        b"garbage",
        b"",
    ],
)
def test_an_orientation_that_is_out_of_range_or_garbage_is_1(block: bytes) -> None:
    assert orientation(block) == 1


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda tail: b"MM\0*\0\0\0\x08\0\x02\x01\x12" + tail))
def test_any_exif_bytes_give_1_to_8(block: bytes) -> None:
    assert orientation(block) in range(1, 9)


@settings(max_examples=300, deadline=None)
@example(b"\xff\xd8" + b"\xff\xe1\0\0" * 50)
@example(b"\xff\xd8" + b"\xff" * 500)
@given(st.lists(st.sampled_from([b"\xff", b"\xda", b"\xe1", b"\xd8", b"\0", b"\2", b"Exif\0\0", b"x"])).map(b"".join))
def test_any_bytes_are_split_or_end_before_a_scan(tail: bytes) -> None:
    try:
        picture, exif = jpeg_parts(b"\xff\xd8" + tail)
    except EOFError:
        return
    assert len(picture) + len(exif) <= len(tail) + 2 and b"\xff\xda" in picture


@pytest.mark.parametrize(("form", "options"), [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {})])
def test_a_whole_file_is_not_cut_short_and_its_beginning_is(form: str, options: dict[str, Any]) -> None:
    whole = _encoded(form, **options)
    assert not is_cut_short(form, whole)
    assert is_cut_short(form, whole[: len(whole) // 2])
    assert is_cut_short(form, whole[: len(whole) * 49 // 50])


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ALLOWED_FORMATS), st.binary(max_size=60), st.integers(0, 60))
def test_any_bytes_are_whole_or_cut_short(form: str, tail: bytes, kept: int) -> None:
    assert is_cut_short(form, _encoded(form)[:kept] + tail) in (True, False)
