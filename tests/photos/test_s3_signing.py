"""Signatures of GETs: those of botocore, whatever the key, the token and the time."""

from __future__ import annotations

import datetime
from unittest import mock

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from fashion_udf.photos.s3_signing import Signer

_KEY_CHARACTERS = "abcXYZ019-_.~/%+"  # after quoting
_TIMES = st.datetimes(datetime.datetime(2020, 1, 1), datetime.datetime(2035, 1, 1))


def of_botocore(url: str, credentials: ReadOnlyCredentials, payer: dict[str, str], when: datetime.datetime) -> str:
    request = AWSRequest("GET", url, headers={"User-Agent": "fashion-udf", **payer})
    with mock.patch.object(auth, "get_current_datetime", lambda: when):
        auth.S3SigV4Auth(credentials, "s3", "eu-west-1").add_auth(request)
    return str(request.headers["Authorization"])


@given(
    prefix=st.sampled_from(
        ["https://shop.s3.eu-west-1.amazonaws.com/", "http://[::1]:9000/shop/", "http://Host:80/b/"]
    ),
    key=st.text(_KEY_CHARACTERS, min_size=1),
    token=st.sampled_from([None, "a/token+of=tests"]),
    pays=st.booleans(),
    when=_TIMES,
)
def test_a_signature_is_that_of_botocore(
    prefix: str, key: str, token: str | None, pays: bool, when: datetime.datetime
) -> None:
    when = when.replace(microsecond=0)
    credentials = ReadOnlyCredentials("AKIATESTS", "a secret", token)
    payer = {"x-amz-request-payer": "requester"} if pays else {}
    signer = Signer(prefix, "eu-west-1", "s3", payer)
    now = when.replace(tzinfo=datetime.UTC).timestamp()
    for _ in range(2):  # the second time with the key of the day
        assert signer.headers(key, credentials, now)["Authorization"] == of_botocore(
            prefix + key, credentials, payer, when
        )


@pytest.mark.parametrize(("seconds", "secret"), [(24 * 60 * 60, "a secret"), (0, "another secret")])
def test_another_day_and_renewed_credentials_have_another_key(seconds: int, secret: str) -> None:
    signer = Signer("http://host/bucket/", "eu-west-1", "s3", {})
    when = datetime.datetime(2026, 11, 27, 23, 59, 59)
    now = when.replace(tzinfo=datetime.UTC).timestamp()
    signer.headers("a", ReadOnlyCredentials("A", "a secret", None), now)
    renewed = ReadOnlyCredentials("B", secret, None)
    found = signer.headers("a", renewed, now + seconds)["Authorization"]
    later = when + datetime.timedelta(seconds=seconds)
    assert found == of_botocore("http://host/bucket/a", renewed, {}, later)
