"""A web server on this machine, for photos by http and https."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Answer:
    """What the server answers to a path.

    With the header `ETag` or `Last-Modified` a request that names just the same is answered by 304, as nginx does.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class WebServer:
    """A server that is up; `requests` are paths, with the Host and the condition (ETag or date) that came with them."""

    port: int
    answers: dict[str, Answer]
    requests: list[tuple[str, str | None, str | None]] = field(default_factory=list)


@contextmanager
def serving(
    answers: dict[str, Answer], certificate: tuple[Path, Path] | None = None, latency: float = 0.0
) -> Iterator[WebServer]:
    """Serve `answers` by path, 404 for any other; by TLS with a certificate and its key, each after so many seconds."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            etag, date = self.headers.get("If-None-Match"), self.headers.get("If-Modified-Since")
            found.requests.append((self.path, self.headers.get("Host"), etag or date))
            time.sleep(latency)
            answer = found.answers.get(self.path, Answer(b"none", 404))
            known = answer.headers.get("ETag") == etag if etag else answer.headers.get("Last-Modified") == date
            if (etag or date) and known:
                answer = Answer(b"", 304, answer.headers)
            self.send_response_only(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def finish(self) -> None:
            with suppress(OSError):
                super().finish()

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: clients of these tests go away in the middle."""

    server = Server(("127.0.0.1", 0), Handler)
    found = WebServer(int(server.server_address[1]), answers)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        # Each handshake in the thread of its connection.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.05,), name="web", daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


def certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """Make a certificate for a host's name, signed by itself; return its file and that of its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    files = directory / "certificate.pem", directory / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run([*command, "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files
