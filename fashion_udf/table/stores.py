"""The store of an output, by the scheme of its URI.

file, or no scheme   `local_store`
s3, s3a              `s3_store`, by boto3
any other            `hadoop_store`, by the JVM's Hadoop FileSystem: every file system that Spark can write to
"""

from __future__ import annotations

from collections.abc import Callable

from fashion_udf.table import hadoop_store, local_store, s3_store
from fashion_udf.table.store import Store, local_path, root_uri, scheme


def open_store(output: str) -> Store:
    """Return the store of an output.

    Raises:
        ConfigError: `output` is no path and no URI.
    """
    return STORES.get(scheme(output), STORES["*"])(output)


def _local(output: str) -> Store:
    return local_store.open_local(local_path(output))


def _s3(output: str) -> Store:
    return s3_store.open_s3(root_uri(output))


def _hadoop(output: str) -> Store:
    return hadoop_store.open_hadoop(root_uri(output))


#: Store factories by the scheme of the output; "*" for every other scheme.
STORES: dict[str, Callable[[str], Store]] = {"": _local, "file": _local, "s3": _s3, "s3a": _s3, "*": _hadoop}
