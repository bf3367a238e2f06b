"""A store on any file system that Hadoop has a driver for, by the JVM of Spark. A command without Spark starts a JVM.

If the file system has an atomic rename that does not overwrite (HDFS, ABFS), this rename creates an object; a killed
writer leaves a temporary file. Otherwise `create(overwrite=false)` creates it: object stores show an object only when
it is closed.
"""

from __future__ import annotations

import errno
import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO

from fashion_udf.errors import EnvironmentUnsupportedError
from fashion_udf.table import ranged_file
from fashion_udf.table.store import Store, StoredFile

logger = logging.getLogger(__name__)

#: Schemes with an atomic rename that refuses an existing name.
_RENAME_DECIDES = ("hdfs", "viewfs", "webhdfs", "swebhdfs", "abfs", "abfss")
#: Bytes that are copied from Java at a time.
_BUFFER = 4 << 20
#: Java's exception -> our `errno`. The outcome of every other failure is unknown.
_ERRORS = {
    "java.io.FileNotFoundException": errno.ENOENT,
    "org.apache.hadoop.fs.FileAlreadyExistsException": errno.EEXIST,
    "org.apache.hadoop.hdfs.protocol.AlreadyBeingCreatedException": errno.EEXIST,
    "org.apache.hadoop.security.AccessControlException": errno.EACCES,
    "org.apache.hadoop.fs.UnsupportedFileSystemException": errno.EPROTONOSUPPORT,
}

_bare: list[Any] = []
_lock = threading.Lock()


def open_hadoop(root: str) -> Store:
    """Return the store below a URI.

    Raises:
        EnvironmentUnsupportedError: there is no pyspark, or no Java.
    """
    at = _Place(*_java(), root)
    return Store(
        list_names=at.list_names,
        list_files=at.list_files,
        open=at.open,
        read=at.read,
        create=at.create,
        replace=at.replace,
        replace_pointer=at.replace_pointer,
        delete=at.delete,
        delete_tree=at.delete_tree,
        sync=lambda prefix, names: None,  # the file system decides how durable a closed file is
    )


def _java() -> tuple[Any, Any]:
    """Return the gateway to the JVM of the running Spark, or to a new JVM, and its Hadoop configuration."""
    try:
        from pyspark import SparkContext
        from pyspark.java_gateway import launch_gateway
    except ImportError as error:
        raise EnvironmentUnsupportedError(
            f"Expected pyspark, whose Hadoop reaches the output: install 'fashion-udf[spark]'. Received: {error}"
        ) from error
    if (context := SparkContext._active_spark_context) is not None:
        return context._gateway, context._jsc.hadoopConfiguration()
    with _lock:
        if not _bare:
            try:
                gateway = SparkContext._gateway or launch_gateway()  # type: ignore[no-untyped-call]
            except Exception as error:  # pyspark raises its own exception without Java
                raise EnvironmentUnsupportedError(
                    f"Expected Java, whose Hadoop reaches the output. Received: {error}"
                ) from error
            SparkContext._gateway, SparkContext._jvm = gateway, gateway.jvm  # a later session uses the same JVM
            spark = gateway.jvm.org.apache.spark
            _bare[:] = gateway, spark.deploy.SparkHadoopUtil.get().newConfiguration(spark.SparkConf())
    return _bare[0], _bare[1]


class _Place:
    """A directory of a Hadoop file system, and the functions of its store."""

    def __init__(self, gateway: Any, configuration: Any, root: str) -> None:
        self._gateway, self._hadoop, self._root = gateway, gateway.jvm.org.apache.hadoop, root
        with _as_os_error(root):
            self._system = self._path("").getFileSystem(configuration)
            self._context = None
            if root.partition(":")[0] in _RENAME_DECIDES:
                self._context = self._hadoop.fs.FileContext.getFileContext(self._path("").toUri(), configuration)

    def list_names(self, prefix: str) -> list[str]:
        try:
            with _as_os_error(prefix):
                return sorted(str(each.getPath().getName()) for each in self._system.listStatus(self._path(prefix)))
        except FileNotFoundError:
            return []

    def list_files(self, prefix: str) -> list[StoredFile]:
        found, start = list[StoredFile](), len(str(self._path("").toUri().getPath()).rstrip("/")) + 1
        try:
            with _as_os_error(prefix):
                listed = self._system.listFiles(self._path(prefix), True)
                while listed.hasNext():
                    each = listed.next()
                    key = str(each.getPath().toUri().getPath())[start:]
                    found.append(StoredFile(key, int(each.getLen()), each.getModificationTime() / 1000))
                if not found:  # a directory without files
                    time = self._system.getFileStatus(self._path(prefix)).getModificationTime() / 1000
                    found.append(StoredFile(f"{prefix}/", 0, time))
        except FileNotFoundError:
            return []
        return sorted(found, key=lambda file: file.key)

    def open(self, key: str) -> BinaryIO:
        with _as_os_error(key):
            size = int(self._system.getFileStatus(self._path(key)).getLen())
            stream = self._system.open(self._path(key))
        return ranged_file.opened(partial(self._bytes, key, stream), size, _BUFFER, stream.close)

    def read(self, key: str, limit: int) -> bytes:
        with self.open(key) as file:
            return file.read(limit)

    def create(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        try:
            with _as_os_error(key):
                self._system.mkdirs(path.getParent())
                if self._context is None:
                    self._write(path, data, overwrite=False)
                else:
                    self._write_beside(path, data, self._gateway.new_array(self._hadoop.fs.Options.Rename, 0))
        except FileExistsError:
            return False
        return True

    def replace(self, key: str, data: bytes) -> None:
        with _as_os_error(key):
            self._system.mkdirs(self._path(key).getParent())
            if self._context is None:
                self._write(self._path(key), data, overwrite=True)
            else:
                options = self._gateway.new_array(self._hadoop.fs.Options.Rename, 1)
                options[0] = self._hadoop.fs.Options.Rename.OVERWRITE
                self._write_beside(self._path(key), data, options)

    def replace_pointer(self, prefix: str, target: str, sql: bytes) -> None:
        self.replace(f"{prefix}/current", f"{target}\n".encode())
        self.replace(f"{prefix}/current.sql", sql)

    def delete(self, key: str) -> None:
        with _as_os_error(key):
            self._system.delete(self._path(key), False)

    def delete_tree(self, prefix: str, since: float) -> bool:
        listed = self.list_files(prefix)
        if any(file.time > since for file in listed):
            return False
        # Manifests are deleted first, so that no reader finds a manifest without its files.
        for file in listed:
            if file.key.endswith(".json"):
                self.delete(file.key)
        with _as_os_error(prefix):
            self._system.delete(self._path(prefix), True)
        return True

    def _path(self, key: str) -> Any:
        return self._hadoop.fs.Path(f"{self._root}/{key}")

    def _write(self, path: Any, data: bytes, overwrite: bool) -> None:
        stream = self._system.create(path, overwrite)
        try:
            stream.write(data)
        finally:
            stream.close()

    def _write_beside(self, path: Any, data: bytes, options: Any) -> None:
        """Write a temporary file and rename it. Without an option, the rename fails if the name exists."""
        beside = self._hadoop.fs.Path(path.getParent(), f".{path.getName()}.{uuid.uuid4().hex}.tmp")
        assert self._context is not None
        try:
            self._write(beside, data, overwrite=True)
            self._context.rename(beside, path, options)
        finally:
            self._system.delete(beside, False)

    def _bytes(self, key: str, stream: Any, start: int, count: int) -> bytes:
        with _as_os_error(key):
            stream.seek(start)
            return bytes(self._gateway.jvm.org.apache.commons.io.IOUtils.toByteArray(stream, count))


@contextmanager
def _as_os_error(key: str) -> Iterator[None]:
    """Replace a Java exception by the equivalent `OSError`."""
    from py4j.protocol import Py4JJavaError

    try:
        yield
    except Py4JJavaError as error:
        java = error.java_exception
        kind, said = str(java.getClass().getName()), " ".join(str(java.getMessage()).split())[:300]
        if number := _ERRORS.get(kind):
            raise OSError(number, said, key) from error
        raise ConnectionError(f"{key}: {kind}: {said}") from error
