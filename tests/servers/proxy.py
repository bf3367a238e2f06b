"""An HTTP proxy before a server on this machine, which counts requests and injects faults."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

#: What happens to a request:
#: reset      the connection is reset, and the server never sees the request
#: lost       the server answers, and the connection is reset instead of its answer
#: stall      nothing comes, as long as the client waits
#: error      the answer is `status` with `code` in S3's XML
#: half       half of the body comes, and the connection ends
#: wrong      a byte of the body is another one
#: slow       a byte of the body comes each tenth of a second
Kind = Literal["reset", "lost", "stall", "error", "half", "wrong", "slow"]


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str  # without percent escapes: /bucket/key
    query: dict[str, list[str]]
    headers: dict[str, str]  # names in small letters
    at: float  # of `time.monotonic`
    body: bytes = b""

    @property
    def operation(self) -> str:
        """What it asks of S3: `list` of keys, or the method's name in small letters."""
        return "list" if self.method == "GET" and "list-type" in self.query else self.method.lower()


@dataclass
class Fault:
    """A fault for the requests that it is about.

    Attributes:
        kind: what happens.
        about: which requests; all of them by default.
        times: for so many of them; None: for ever.
        share: of those requests, chosen by chance.
        status, code, headers: of the answer to `error`.
    """

    kind: Kind
    about: Callable[[Request], bool] = lambda request: True
    times: int | None = None
    share: float = 1.0
    status: int = 503
    code: str = "SlowDown"
    headers: dict[str, str] = field(default_factory=dict)
    injected: int = 0


class Proxy:
    """A proxy that listens on `port` of 127.0.0.1 while it is open as a context.

    Attributes:
        port: where it listens.
        requests: all requests so far.
        latency: seconds that each answer is held back.
    """

    def __init__(self, server_port: int) -> None:
        """Take the port of the server on 127.0.0.1."""
        self.requests: list[Request] = []
        self.latency = 0.0
        self._faults: list[Fault] = []
        self._chance = random.Random(7)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self, server_port))
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="proxy", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def fault(self, kind: Kind, **facts: object) -> Iterator[Fault]:
        """Inject a fault while the block runs; the first one that fits a request happens. `facts` are of `Fault`."""
        fault = Fault(kind, **facts)  # type: ignore[arg-type]
        self._faults.append(fault)
        try:
            yield fault
        finally:
            self._faults.remove(fault)

    @contextmanager
    def recorded(self) -> Iterator[list[Request]]:
        """Yield a list of the requests that come while the block runs; it is filled at the end of the block."""
        first, found = len(self.requests), list[Request]()
        yield found
        found += self.requests[first:]

    def count(self) -> Counter[str]:
        """Return how many requests came, by operation."""
        return Counter(request.operation for request in self.requests)

    def _seen(self, request: Request) -> Fault | None:
        with self._lock:
            self.requests.append(request)
            for fault in self._faults:
                if fault.times is not None and fault.injected >= fault.times:
                    continue
                if fault.about(request) and self._chance.random() < fault.share:
                    fault.injected += 1
                    return fault
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients of these tests go away in the middle."""


def _handler(proxy: Proxy, server_port: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Each connection of a client has a thread, and a connection to the server."""

        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # head and body in one packet

        def setup(self) -> None:
            super().setup()
            self._server = http.client.HTTPConnection("127.0.0.1", server_port, timeout=60)

        def finish(self) -> None:
            self._server.close()
            with suppress(OSError):
                super().finish()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def handle_expect_100(self) -> bool:
            """Tell the client to send its body: botocore waits a second for it, and `wfile` keeps what is written."""
            going_on = super().handle_expect_100()
            self.wfile.flush()
            return going_on

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            request = Request(
                self.command,
                unquote(parts.path),
                parse_qs(parts.query, keep_blank_values=True),
                {name.lower(): value for name, value in self.headers.items()},
                time.monotonic(),
                body,
            )
            fault = proxy._seen(request)
            if proxy.latency:
                time.sleep(proxy.latency)
            kind = fault.kind if fault else None
            if kind == "reset":
                return self._reset()
            if kind == "stall":
                proxy._closing.wait(120)
                return self._reset()
            if fault and kind == "error":
                head = f"<Error><Code>{fault.code}</Code><Message>injected</Message></Error>"
                return self._answer(fault.status, {"Content-Type": "application/xml", **fault.headers}, head.encode())
            status, headers, data = self._ask(body)
            if kind == "lost":
                return self._reset()
            self._answer(status, headers, data, kind)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle

        def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            for again in (True, False):  # the server may have closed a connection that was idle
                try:
                    self._server.request(self.command, self.path, body or None, headers)
                    answer = self._server.getresponse()
                    break
                except (http.client.HTTPException, ConnectionError):
                    self._server.close()
                    if not again:
                        raise
            # What a HEAD says of the length is all that it says; the length of another answer is that of its data.
            hop_by_hop = _HOP_BY_HOP - {"content-length"} if self.command == "HEAD" else _HOP_BY_HOP
            found = {name: value for name, value in answer.getheaders() if name.lower() not in hop_by_hop}
            return answer.status, found, answer.read()

        def _answer(self, status: int, headers: dict[str, str], data: bytes, kind: str | None = None) -> None:
            self.send_response_only(status)
            if not (self.command == "HEAD" and "Content-Length" in headers):
                headers = {**headers, "Content-Length": str(len(data))}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if kind == "half":
                self.wfile.write(data[: len(data) // 2])
                self.close_connection = True
            elif kind == "slow":
                for at in range(len(data)):
                    self.wfile.write(data[at : at + 1])
                    self.wfile.flush()
                    if proxy._closing.wait(0.1):
                        break
            elif self.command != "HEAD":
                middle = len(data) // 2
                wrong = bytes([data[middle] ^ 1]) if data and kind == "wrong" else data[middle : middle + 1]
                self.wfile.write(data[:middle] + wrong + data[middle + 1 :])

        def _reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

    return Handler


_HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "keep-alive"}
