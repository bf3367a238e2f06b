"""Troublesome photos: what becomes of one does not depend on where it is."""

from __future__ import annotations

from pathlib import Path

from fashion_udf.photos import fetch
from fashion_udf.photos.decode import decode
from fashion_udf.photos.photo import Remote
from fashion_udf.schema import Status
from tests.servers import web
from tests.servers.s3 import BUCKET, S3Server
from tests.servers.web import Answer

_MOST = 100_000  # bytes: some of the files are larger


def test_a_photo_ends_in_the_same_status_from_a_file_from_s3_and_by_http(
    shared_data: Path, s3_server: S3Server
) -> None:
    folder = shared_data / "bad-images"
    photos = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    for name, photo in photos.items():
        s3_server.put(f"bad/{name}", photo)
    statuses, refused = {}, False
    with web.serving({f"/{name}": Answer(photo) for name, photo in photos.items()}) as server:
        remote = Remote((f"localhost:{server.port}",), private_hosts=True, s3=s3_server.settings)
        for name in photos:
            places = (folder / name, f"s3://{BUCKET}/bad/{name}", f"http://localhost:{server.port}/{name}")
            read = [fetch.read(str(place), [str(folder)], _MOST, remote) for place in places]
            assert len({(photo.data, photo.status) for photo in read}) == 1, name
            data = read[0].data
            refused |= data is None
            statuses[name] = read[0].status if data is None else decode(data).status
    assert len(statuses) > 50 and refused
    assert {Status.OK, Status.IMAGE_TOO_LARGE, Status.IMAGE_TRUNCATED, Status.IMAGE_CORRUPT} <= {*statuses.values()}
