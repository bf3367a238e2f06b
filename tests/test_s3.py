"""One section of settings for S3, for boto3 and s3a alike; a client of each process, and no credentials anywhere."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from fashion_udf import config, s3
from fashion_udf.config import JobConfig
from fashion_udf.errors import ConfigError
from fashion_udf.s3 import S3Settings
from fashion_udf.spark import session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tests.servers.s3 import S3Server

COMPATIBLE = S3Settings(endpoint_url="http://127.0.0.1:9", path_style=True)


def test_boto3_and_s3a_are_told_the_same() -> None:
    settings = S3Settings(
        endpoint_url="https://store.example:9000/",
        region="eu-south-2",
        path_style=True,
        sse_kms_key="key",
        requester_pays=True,
        timeout=7,
        attempts=3,
    )
    facts = s3.client(settings).meta
    assert (facts.endpoint_url, facts.region_name) == ("https://store.example:9000", "eu-south-2")
    assert (facts.config.connect_timeout, facts.config.read_timeout) == (3.5, 7)
    assert facts.config.retries["total_max_attempts"] == 3
    assert facts.config.request_checksum_calculation == "when_required"
    assert (settings.request, settings.encryption["SSEKMSKeyId"]) == ({"RequestPayer": "requester"}, "key")
    hadoop = s3.hadoop_settings(settings, "3.4.2")
    assert "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider" in hadoop.pop(s3.PROVIDERS)
    assert hadoop == {
        "fs.s3a.endpoint": "https://store.example:9000",
        "fs.s3a.endpoint.region": "eu-south-2",
        "fs.s3a.path.style.access": "true",
        "fs.s3a.encryption.algorithm": "SSE-KMS",
        "fs.s3a.encryption.key": "key",
        "fs.s3a.requester.pays.enabled": "true",
        "fs.s3a.connection.timeout": "7000",
        "fs.s3a.connection.establish.timeout": "3500",
        "fs.s3a.attempts.maximum": "3",
        "fs.s3a.checksum.calculation.enabled": "false",
    }


def test_what_the_section_does_not_say_is_left_to_the_cluster() -> None:
    assert [*s3.hadoop_settings(S3Settings(), "3.3.4")] == [s3.PROVIDERS]
    assert (
        "com.amazonaws.auth.DefaultAWSCredentialsProviderChain"
        in s3.hadoop_settings(S3Settings(), "3.3.4")[s3.PROVIDERS]
    )


def test_spark_reads_s3_by_s3a_unless_the_cluster_has_its_own(spark: SparkSession) -> None:
    conf = spark.sparkContext.getConf()
    found = session.hadoop_settings(conf, COMPATIBLE)
    assert found["fs.s3.impl"] == "org.apache.hadoop.fs.s3a.S3AFileSystem"
    assert found["fs.s3a.endpoint"] == "http://127.0.0.1:9"
    own = conf.set("spark.hadoop.fs.s3.impl", "own").set(f"spark.hadoop.{s3.PROVIDERS}", "own")
    assert {"fs.s3.impl", s3.PROVIDERS} & session.hadoop_settings(own, COMPATIBLE).keys() == set()


@pytest.mark.parametrize(
    "url",
    ["store.example", "ftp://store.example", "https://key:secret@store.example", "https://store.example?key=secret"],
)
def test_an_endpoint_is_a_url_without_credentials(url: str) -> None:
    tree = {"input": {"path": "in"}, "output": {"path": "out"}, "s3": {"endpoint_url": url}}
    with pytest.raises(
        ConfigError, match=r"Received: s3\.endpoint_url: .*expected (http://host|a URL without)"
    ) as error:
        config.validate(JobConfig, tree, "test")
    assert "secret" not in str(error.value)


def test_threads_share_one_client_and_a_forked_process_makes_its_own() -> None:
    with ThreadPoolExecutor(16) as pool:
        clients = {id(client) for client in pool.map(lambda _: s3.client(COMPATIBLE), range(64))}
    assert len(clients) == 1
    with s3._lock:  # as a thread of the parent may hold it
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            threading.Timer(20, os._exit, [1]).start()
            os.write(writing, json.dumps([id(each) for each in s3._clients.values()]).encode())
            s3.client(COMPATIBLE)
            os._exit(len(s3._clients) != 1)
    os.close(writing)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with os.fdopen(reading) as pipe:
        assert json.load(pipe) == []


@pytest.mark.parametrize("uri", ["s3://b/a b/%20+?#ü.jpg", "S3A://b/a b/%20+?#ü.jpg"])
def test_a_key_is_taken_as_it_stands(uri: str) -> None:
    assert s3.location(uri) == ("b", "a b/%20+?#ü.jpg")


@pytest.mark.parametrize("uri", ["s3:/b/a", "s3://", "http://b/a", "a"])
def test_a_uri_without_a_bucket_is_none_of_s3(uri: str) -> None:
    with pytest.raises(ValueError, match="expected s3://bucket/key"):
        s3.location(uri)


def test_an_object_is_read_as_it_was_written(s3_server: S3Server) -> None:
    key = "a b/%20+ü.jpg"
    etag = s3_server.put(key, b"photo")
    answer = s3.client(s3_server.settings).get_object(Bucket="photos", Key=key)
    assert (answer["Body"].read(), answer["ETag"]) == (b"photo", f'"{etag}"')


def test_a_request_is_repeated_after_a_fault_and_a_client_with_one_attempt_gives_up(s3_server: S3Server) -> None:
    s3_server.put("again", b"photo")
    for kind in ("reset", "lost", "error"):
        with s3_server.proxy.fault(kind, times=1) as fault:  # type: ignore[arg-type]
            assert s3.client(s3_server.settings).get_object(Bucket="photos", Key="again")["Body"].read() == b"photo"
        with s3_server.proxy.fault(kind) as fault, pytest.raises(Exception, match="."):  # type: ignore[arg-type]
            s3.client(s3_server.settings, attempts=1).get_object(Bucket="photos", Key="again")
        assert fault.injected == 1
