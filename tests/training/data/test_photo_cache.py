"""Decoded photos are kept once, up to a number of bytes, and are what decoding gives."""

from __future__ import annotations

import io
import logging
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from fashion_udf.photos.decode import decode
from training.data import photo_cache
from training.data.photo_cache import PhotoCache

SIZE = 16
SQUARE = SIZE * SIZE * 3


def _photo(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (24, 20, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[bytes]:
    """How often each file was decoded."""
    counts: Counter[bytes] = Counter()

    def counted(data: bytes, size: int) -> object:
        counts[data] += 1
        return decode(data, size)

    monkeypatch.setattr(photo_cache, "decode", counted)
    return counts


def test_a_photo_is_decoded_once_and_its_square_stays_the_same(decoded: Counter[bytes]) -> None:
    photos, cache = [_photo(number) for number in range(5)], PhotoCache(SIZE, 5, 10**6)
    for _ in range(3):
        for number, data in enumerate(photos):
            np.testing.assert_array_equal(cache.decode(str(number), data), decode(data, SIZE).pixels)
    assert decoded == dict.fromkeys(photos, 1)


def test_what_is_no_photo_is_found_out_once_and_takes_no_space(decoded: Counter[bytes]) -> None:
    cache = PhotoCache(SIZE, 1, SQUARE)
    for _ in range(2):
        assert cache.decode("none", b"") is None
        assert cache.decode("one", _photo(1)) is not None
    assert decoded == {b"": 1, _photo(1): 1}


def test_beyond_its_bytes_photos_are_decoded_each_time(decoded: Counter[bytes]) -> None:
    cache = PhotoCache(SIZE, 3, 2 * SQUARE + 1)
    for _ in range(2):
        for number in range(3):
            np.testing.assert_array_equal(
                cache.decode(str(number), _photo(number)), decode(_photo(number), SIZE).pixels
            )
    assert decoded == {_photo(0): 1, _photo(1): 1, _photo(2): 2}


def test_without_space_nothing_is_kept_and_the_log_says_so(
    decoded: Counter[bytes], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(photo_cache.os, "posix_fallocate", full)
    with caplog.at_level(logging.WARNING):
        cache = PhotoCache(SIZE, 2, 10**6)
    assert "decoded photos are not cached: no space for 2 of 16 pixels ([Errno 28] No space left" in caplog.text
    assert [cache.decode("a", _photo(1)) is not None for _ in range(2)] == [True, True]
    assert decoded == {_photo(1): 2}


def test_threads_that_fill_it_together_get_the_squares_of_their_photos() -> None:
    photos, cache = [_photo(number) for number in range(40)], PhotoCache(SIZE, 40, 20 * SQUARE)
    wanted = [*range(40)] * 10
    with ThreadPoolExecutor(8) as threads:
        squares = list(threads.map(lambda number: cache.decode(str(number), photos[number]), wanted))
    for number, square in zip(wanted, squares, strict=True):
        np.testing.assert_array_equal(square, decode(photos[number], SIZE).pixels)


def test_a_closed_cache_gives_its_file_back_and_decodes_each_time(decoded: Counter[bytes]) -> None:
    cache = PhotoCache(SIZE, 3, 10**6)
    assert cache.decode("a", _photo(1)) is not None
    mapped = weakref.ref(cache.decode("a", _photo(1)).base)
    assert mapped() is not None
    cache.close()
    assert mapped() is None
    for _ in range(2):
        np.testing.assert_array_equal(cache.decode("a", _photo(1)), decode(_photo(1), SIZE).pixels)
    assert decoded == {_photo(1): 3}
