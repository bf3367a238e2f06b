"""The sandbox: decode photos in a child process, so that a photo that crashes or hangs the decoder fails only its row.

    python -m fashion_udf.photos.sandbox MEMORY_BYTES     the child: photos on stdin, pixels or a reason on stdout

A message is a length (8 bytes, big endian) and a body. The child's reply is one line of JSON and the pixels.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import struct
import subprocess
import sys
import time
from typing import IO

import numpy as np

from fashion_udf.photos.decode import Decoded
from fashion_udf.schema import Status

TIMEOUT = 20.0  # seconds for one photo; the slowest accepted one takes about 5
MEMORY_LIMIT = 4_000_000_000  # bytes of address space; the largest accepted photo needs about 1 GB

_LENGTH = struct.Struct(">Q")


class SandboxedDecoder:
    """Decodes like `fashion_udf.photos.decode.decode`, in a child that is replaced if it dies or hangs."""

    def __init__(
        self,
        timeout: float = TIMEOUT,
        memory_limit: int = MEMORY_LIMIT,
        decoder: str = "fashion_udf.photos.decode:decode",
    ) -> None:
        """Set the limits. The child starts at the first photo.

        Args:
            timeout: maximum of seconds for one photo.
            memory_limit: maximum of bytes of the child's address space.
            decoder: `module:function` to run in the child.
        """
        self._timeout = timeout
        self._command = [sys.executable, "-m", "fashion_udf.photos.sandbox", str(memory_limit), decoder]
        self._child: subprocess.Popen[bytes] | None = None

    def decode(self, data: bytes, size: int, max_bytes: int, max_pixels: int) -> Decoded:
        """Decode a photo. The status is `image_crashed` if the child died, and `image_timeout` if it hung."""
        if len(data) > max_bytes:
            return Decoded(None, Status.IMAGE_TOO_LARGE, f"{len(data)} bytes, at most {max_bytes} are accepted")
        child = self._running()
        assert child.stdin is not None and child.stdout is not None  # both are pipes
        deadline = time.monotonic() + self._timeout
        try:
            _send(child.stdin, json.dumps([size, max_bytes, max_pixels]).encode() + b"\n" + data)
            reply = _receive_until(child.stdout, deadline)
        except TimeoutError:
            self.close()
            return Decoded(None, Status.IMAGE_TIMEOUT, f"the decoder took more than {self._timeout:g} seconds")
        except (EOFError, BrokenPipeError):
            code = child.wait()
            self.close()
            return Decoded(None, Status.IMAGE_CRASHED, f"the decoder died with exit code {code}")
        header, _, pixels = reply.partition(b"\n")
        status, error = json.loads(header)
        array = np.frombuffer(pixels, np.uint8).reshape(size, size, 3) if status == Status.OK else None
        return Decoded(array, Status(status), error)

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            # The child imports the library from the same place, which on an executor is the unpacked archive.
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
            # NumPy's threads, one per core, map 40 MB each, which would exceed the limit on a large host.
            environment["OPENBLAS_NUM_THREADS"] = "1"
            self._child = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
            )
        return self._child


def serve(requests: IO[bytes], replies: IO[bytes], decoder: str) -> None:
    """Answer requests until the input ends. This function runs in the child."""
    module, _, name = decoder.partition(":")
    decode = getattr(importlib.import_module(module), name)
    while True:
        try:
            request = _receive(requests)
        except EOFError:
            return
        header, _, data = request.partition(b"\n")
        decoded = decode(data, *json.loads(header))
        pixels = b"" if decoded.pixels is None else decoded.pixels.tobytes()
        _send(replies, json.dumps([decoded.status.value, decoded.error]).encode() + b"\n" + pixels)


def _send(stream: IO[bytes], body: bytes) -> None:
    stream.write(_LENGTH.pack(len(body)) + body)
    stream.flush()


def _receive(stream: IO[bytes]) -> bytes:
    length = stream.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        raise EOFError
    return stream.read(_LENGTH.unpack(length)[0])


def _receive_until(stream: IO[bytes], deadline: float) -> bytes:
    descriptor = stream.fileno()
    body = b""
    length = _LENGTH.size
    while len(body) < length:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise TimeoutError
        part = os.read(descriptor, 1 << 20)
        if not part:
            raise EOFError
        body += part
        if length == _LENGTH.size and len(body) >= length:
            length += _LENGTH.unpack(body[: _LENGTH.size])[0]
    return body[_LENGTH.size :]


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), int(sys.argv[1])))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash leaves no core file behind
    serve(sys.stdin.buffer, sys.stdout.buffer, sys.argv[2])
