"""A store that asks for fewer requests for a whole minute: no photo is lost, and it gets fewer."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fashion_udf.photos import s3_photos
from fashion_udf.photos.photo import Remote
from tests import soak
from tests.servers.s3 import BUCKET, S3Server

#: Seconds in which every answer is SlowDown.
SECONDS = 60


@pytest.mark.soak
@pytest.mark.skipif(not soak.SOAK, reason="minutes: run by `make soak`; a short form is in test_s3_photos.py")
def test_a_minute_of_slow_down_loses_no_photo_and_gets_fewer_requests(s3_server: S3Server) -> None:
    photos = [b"%d" % number for number in range(200)]
    for number, photo in enumerate(photos):
        s3_server.put(f"minute/{number}", photo)
    s3_photos._stores.clear()

    def fetch(number: int) -> bytes | None:
        place = f"s3://{BUCKET}/minute/{number}"
        return s3_photos.read(place, Remote(s3=s3_server.settings, seconds=60), 1_000_000).data

    with ThreadPoolExecutor(16) as pool, s3_server.proxy.recorded() as requests:
        began = time.monotonic()
        with s3_server.proxy.fault("error", status=503, code="SlowDown"):
            waiting = [pool.submit(fetch, number) for number in range(len(photos))]
            time.sleep(SECONDS)
        assert [future.result() for future in waiting] == photos
    ages = [request.at - began for request in requests]
    first, last = sum(age < 10 for age in ages), sum(SECONDS - 30 <= age < SECONDS for age in ages)
    assert last / 30 < first / 10 / 2, (first, last)
    assert len(requests) <= 3 * len(photos)
    soak.TOTALS["requests for 200 photos"] = len(requests)
