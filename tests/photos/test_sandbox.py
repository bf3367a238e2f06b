"""The sandbox: a photo that kills or hangs the decoder costs its own row, and the next photo is decoded as ever."""

from __future__ import annotations

import ctypes
import io
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from fashion_udf.photos import decode, sandbox
from fashion_udf.photos.decode import Decoded
from fashion_udf.photos.sandbox import SandboxedDecoder
from fashion_udf.schema import Status

LIMITS = (32, 1_000_000, 1_000_000)  # size, bytes, pixels


def hostile(data: bytes, size: int, max_bytes: int, max_pixels: int) -> Decoded:
    """Run in the child: does what the photo says, and tells the process's id for any other."""
    if data == b"segfault":
        ctypes.string_at(0)
    if data == b"sleep":
        time.sleep(600)
    if data == b"allocate":
        np.ones(3_000_000_000, np.uint8)
    if data == b"exit":
        os._exit(7)
    if data == b"raise":
        raise RuntimeError("a bug")
    if data == b"threads":
        return Decoded(None, Status.IMAGE_CORRUPT, str(len(os.listdir("/proc/self/task"))))
    return Decoded(None, Status.IMAGE_CORRUPT, str(os.getpid()))


@pytest.fixture(params=[20.0])
def sandboxed(request: pytest.FixtureRequest) -> Iterator[SandboxedDecoder]:
    decoder = SandboxedDecoder(timeout=request.param, memory_limit=2_500_000_000, decoder=f"{__name__}:hostile")
    yield decoder
    decoder.close()


def _child(decoder: SandboxedDecoder) -> int:
    decoded = decoder.decode(b"well", *LIMITS)
    assert decoded.status == Status.IMAGE_CORRUPT
    return int(decoded.error or 0)


def _is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(
    ("photo", "code"), [(b"segfault", -signal.SIGSEGV), (b"allocate", 1), (b"exit", 7), (b"raise", 1)]
)
def test_a_photo_that_kills_the_decoder_is_crashed_and_the_next_is_fine(
    sandboxed: SandboxedDecoder, photo: bytes, code: int
) -> None:
    first = _child(sandboxed)
    assert _child(sandboxed) == first, "one child serves many photos"
    crashed = sandboxed.decode(photo, *LIMITS)
    assert crashed == Decoded(None, Status.IMAGE_CRASHED, f"the decoder died with exit code {code}")
    assert _is_gone(first)
    assert _child(sandboxed) != first


@pytest.mark.parametrize("sandboxed", [5.0], indirect=True)
def test_a_photo_that_hangs_the_decoder_is_timed_out_and_the_next_is_fine(sandboxed: SandboxedDecoder) -> None:
    first, start = _child(sandboxed), time.monotonic()
    decoded = sandboxed.decode(b"sleep", *LIMITS)
    assert decoded == Decoded(None, Status.IMAGE_TIMEOUT, "the decoder took more than 5 seconds")
    assert 5 <= time.monotonic() - start < 15
    assert _is_gone(first)
    assert _child(sandboxed) != first


def test_a_child_that_was_killed_between_two_photos_costs_one_row(sandboxed: SandboxedDecoder) -> None:
    os.kill(_child(sandboxed), signal.SIGKILL)
    assert sandboxed.decode(b"well", *LIMITS).status == Status.IMAGE_CRASHED
    assert _child(sandboxed)


def test_the_child_has_no_thread_for_each_core_which_would_use_up_its_memory(sandboxed: SandboxedDecoder) -> None:
    threads = sandboxed.decode(b"threads", *LIMITS).error
    assert threads is not None and int(threads) <= 2, "its own and pyarrow's"


def test_a_decoder_that_cannot_start_is_a_status_for_every_photo() -> None:
    decoder = SandboxedDecoder(decoder="no_such_module:decode")
    for _ in range(2):
        assert decoder.decode(bytes(1_000_000), *LIMITS).status == Status.IMAGE_CRASHED
    decoder.close()


def test_closing_ends_the_child_and_may_be_repeated(sandboxed: SandboxedDecoder) -> None:
    before = len(os.listdir("/proc/self/fd"))
    child = _child(sandboxed)
    sandboxed.close()
    sandboxed.close()
    assert _is_gone(child)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_over_the_limit_never_reaches_the_child(sandboxed: SandboxedDecoder) -> None:
    first = _child(sandboxed)
    decoded = sandboxed.decode(b"segfault", 32, 7, 1_000_000)
    assert decoded == Decoded(None, Status.IMAGE_TOO_LARGE, "8 bytes, at most 7 are accepted")
    assert _child(sandboxed) == first


def _photo(form: str, size: int) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(size).integers(0, 256, (size, size, 3), np.uint8)
    Image.fromarray(noise).save(file, form)
    return file.getvalue()


@pytest.fixture(scope="module")
def real() -> Iterator[SandboxedDecoder]:
    decoder = SandboxedDecoder()
    yield decoder
    decoder.close()


@pytest.mark.parametrize(
    "photo",
    [
        _photo("JPEG", 50),
        _photo("PNG", 32),
        _photo("PNG", 500),  # larger than a pipe holds
        _photo("JPEG", 50)[:900],
        _photo("PNG", 1100),  # more pixels than allowed
        b"<html>\n\n</html>",
        b"\n",
        b"",
    ],
    ids=["jpeg", "png", "large", "cut", "many pixels", "html", "newline", "empty"],
)
def test_the_child_decodes_exactly_as_this_process_does(real: SandboxedDecoder, photo: bytes) -> None:
    limits = (224, 10_000_000, 1_000_000)
    here, there = decode.decode(photo, *limits), real.decode(photo, *limits)
    assert (there.status, there.error) == (here.status, here.error)
    assert (there.pixels is None) == (here.pixels is None)
    if there.pixels is not None:
        assert there.pixels.dtype == np.uint8 and np.array_equal(there.pixels, here.pixels)


def test_two_decoders_in_two_threads_do_not_mix_their_photos() -> None:
    decoders = [SandboxedDecoder(), SandboxedDecoder()]
    photos = [_photo("PNG", 32), _photo("PNG", 33)]
    limits = (33, 1_000_000, 1_000_000)

    def decodes_alike(number: int) -> bool:
        expected = decode.decode(photos[number], *limits).pixels
        return all(np.array_equal(decoders[number].decode(photos[number], *limits).pixels, expected) for _ in range(50))

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(decodes_alike, [0, 1])) == [True, True]
    for decoder in decoders:
        decoder.close()


def test_serving_ends_with_the_input_even_in_the_middle_of_a_length() -> None:
    replies = io.BytesIO()
    sandbox.serve(io.BytesIO(b"\0\0\0"), replies, "fashion_udf.photos.decode:decode")
    assert replies.getvalue() == b""
