"""S3 and compatible stores: one section of settings for boto3 and for Spark's s3a.

Each machine gets its credentials from the usual chain of providers (environment, profile, web identity, instance role).
No setting and no task holds credentials.
"""

from __future__ import annotations

import os
import threading
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from fashion_udf.errors import CredentialsError
from fashion_udf.sections import Section

#: The setting of s3a's credential providers. By default s3a knows fewer providers than boto3. A key in Hadoop's own
#: configuration, which some clusters have, still comes first.
PROVIDERS = "fs.s3a.aws.credentials.provider"
_CREDENTIALS = (
    "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider",
    "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
)
#: The providers' chain of the AWS SDK that Hadoop uses. From Hadoop 3.4 on, that is version 2 of the SDK.
_CHAIN_OF_SDK_1 = "com.amazonaws.auth.DefaultAWSCredentialsProviderChain"
_CHAIN_OF_SDK_2 = "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider"
#: Error codes of expired credentials, and of credentials that were never valid.
EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired")
_NOT_ACCEPTED = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidClientTokenId")
#: Exceptions of botocore where no provider has usable credentials.
_NO_CREDENTIALS: tuple[str, ...] = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "ProfileNotFound",
)
_NO_CREDENTIALS += ("TokenRetrievalError", "UnauthorizedSSOTokenError", "SSOTokenLoadError", "InvalidConfigError")

#: A request is signed for a region, even if the store has no regions.
REGION_OF_COMPATIBLE_STORES = "us-east-1"


class S3Settings(Section):
    """Where S3 is, and how requests are made. Credentials are no settings, on purpose."""

    endpoint_url: str | None = None  # of a compatible store; null: AWS
    region: str | None = None  # null: the region of the environment or the profile
    path_style: bool = False  # http://host/bucket/key instead of http://bucket.host/key
    sse_kms_key: str | None = None  # id or ARN of the KMS key for written objects; null: the bucket's default
    requester_pays: bool = False  # the reader pays for requests
    connections: int = Field(32, ge=1, le=1024)  # maximum of open connections of boto3 in a process
    timeout: float = Field(20.0, gt=0, le=300)  # seconds without a byte; half of it to open the connection
    attempts: int = Field(5, ge=1, le=20)  # of a request that may be repeated, with the first one

    @field_validator("endpoint_url")
    @classmethod
    def _no_credentials(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected http://host[:port] or https://host[:port]")
        if parts.username is not None or parts.password is not None or parts.query:
            raise ValueError(
                "expected a URL without a user, a password or a query: credentials come from the providers"
            )
        return url.rstrip("/")

    @property
    def request(self) -> dict[str, str]:
        """Arguments of every call that reads: `client.get_object(..., **settings.request)`."""
        return {"RequestPayer": "requester"} if self.requester_pays else {}

    @property
    def encryption(self) -> dict[str, str]:
        """Arguments of every call that writes an object."""
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.sse_kms_key} if self.sse_kms_key else {}


_clients: dict[tuple[S3Settings, int], Any] = {}
_lock = threading.Lock()


def client(settings: S3Settings, attempts: int | None = None) -> Any:
    """Return the S3 client of this process; threads may share it.

    The first call makes the client. A forked process makes a new one, because it cannot use the connections and locks
    of its parent.

    Args:
        settings: where S3 is.
        attempts: 1 where a repetition would mean something else, as for a conditional write, and for a caller with its
            own retries. None means the number in the settings.
    """
    key = (settings, settings.attempts if attempts is None else attempts)
    if (found := _clients.get(key)) is None:
        with _lock:  # boto3 sometimes fails if two threads make a client at the same time
            found = _clients.get(key) or _clients.setdefault(key, _new_client(*key))
    return found


def forget_clients() -> None:
    """Drop the clients: the next call makes new ones, with the providers' credentials of that time."""
    with _lock:
        _clients.clear()


def _new_client(settings: S3Settings, attempts: int) -> Any:
    import boto3
    from botocore.config import Config

    # Some compatible stores refuse the checksums that newer SDKs add by default.
    checksums = "when_required" if settings.endpoint_url else "when_supported"
    session = boto3.session.Session()
    region = settings.region or (settings.endpoint_url and (session.region_name or REGION_OF_COMPATIBLE_STORES))
    return session.client(
        "s3",
        endpoint_url=settings.endpoint_url,
        region_name=region,
        config=Config(
            connect_timeout=settings.timeout / 2,
            read_timeout=settings.timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=settings.connections,
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
            s3={"addressing_style": "path" if settings.path_style else "auto"},
            user_agent_appid="fashion-udf",
        ),
    )


def _after_fork() -> None:
    global _lock
    _clients.clear()
    _lock = threading.Lock()  # a thread of the parent process may hold the old lock


os.register_at_fork(after_in_child=_after_fork)


def error_code(error: Exception) -> str:
    """Return the error code of S3's answer, or the name of botocore's exception if there was no answer."""
    answer: dict[str, Any] = getattr(error, "response", None) or {}
    return str(answer.get("Error", {}).get("Code") or type(error).__name__)


def credentials_error(code: str) -> CredentialsError | None:
    """Return the error to raise for a code of `error_code` if credentials are the cause; None for any other cause."""
    if code not in (*EXPIRED, *_NOT_ACCEPTED, *_NO_CREDENTIALS):
        return None
    return CredentialsError(
        "Expected credentials that S3 accepts until the run ends, from the environment, a profile or a role. "
        f"Received: {code}. Renew the credentials and run again; finished work is kept"
    )


def location(uri: str) -> tuple[str, str]:
    """Return bucket and key of an `s3:` or `s3a:` URI. The key is not decoded: `%`, `+` and `?` belong to it.

    Raises:
        ValueError: the URI has no bucket.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme.lower() not in ("s3", "s3a") or not bucket:
        raise ValueError("expected s3://bucket/key")
    return bucket, key


def object_store_options(settings: S3Settings) -> dict[str, str]:
    """Return the options of deltalake's object store, with the providers' credentials. For this process only."""
    import boto3

    session = boto3.session.Session()
    region = settings.region or session.region_name or REGION_OF_COMPATIBLE_STORES
    found = {"aws_region": region, "aws_conditional_put": "etag"}
    if settings.endpoint_url:
        found |= {"aws_endpoint": settings.endpoint_url, "aws_allow_http": "true"}
        found["aws_virtual_hosted_style_request"] = "false"
    if (credentials := session.get_credentials()) is not None:
        frozen = credentials.get_frozen_credentials()
        found |= {"aws_access_key_id": frozen.access_key, "aws_secret_access_key": frozen.secret_key}
        found |= {"aws_session_token": frozen.token} if frozen.token else {}
    return found


def hadoop_settings(settings: S3Settings, hadoop_version: str) -> dict[str, str]:
    """Return the equivalent settings of Hadoop's s3a, by key. For Spark, prefix each key with `spark.hadoop.`.

    A setting at its default is left out, so that Hadoop's or the cluster's own default holds.

    Args:
        settings: the job's section `s3`.
        hadoop_version: version of Spark's Hadoop client, such as `3.4.2`.
    """
    chain = _CHAIN_OF_SDK_1 if hadoop_version.startswith("3.3") else _CHAIN_OF_SDK_2
    found = {PROVIDERS: ",".join((*_CREDENTIALS, chain))}
    if settings.endpoint_url:
        # Some compatible stores refuse checksums that are not required.
        found |= {"fs.s3a.endpoint": settings.endpoint_url, "fs.s3a.checksum.calculation.enabled": "false"}
    if settings.endpoint_url or settings.region:
        found["fs.s3a.endpoint.region"] = settings.region or REGION_OF_COMPATIBLE_STORES
    if settings.path_style:
        found["fs.s3a.path.style.access"] = "true"
    if settings.sse_kms_key:
        found |= {"fs.s3a.encryption.algorithm": "SSE-KMS", "fs.s3a.encryption.key": settings.sse_kms_key}
    if settings.requester_pays:
        found["fs.s3a.requester.pays.enabled"] = "true"
    if settings.timeout != S3Settings().timeout:
        milliseconds = round(1000 * settings.timeout)
        found["fs.s3a.connection.timeout"] = str(milliseconds)
        found["fs.s3a.connection.establish.timeout"] = str(milliseconds // 2)
    if settings.attempts != S3Settings().attempts:
        found["fs.s3a.attempts.maximum"] = str(settings.attempts)
    return found
