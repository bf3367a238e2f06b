"""A store in memory with injected failures, for tests."""

from __future__ import annotations

import contextlib
import errno
import io
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from fashion_udf.table.store import Store, StoredFile


@dataclass(frozen=True)
class Fault:
    """A failure to inject: raise `error` before or after the operation takes effect."""

    when: Literal["before", "after"]
    error: OSError


@dataclass
class MemoryStore:
    """A factory of stores: `STORES[""] = MemoryStore({3: Fault("after", TimeoutError("cut"))})`.

    Attributes:
        faults: by the number of the operation, counted from 1 over all functions.
        objects: content by key.
        operations: the operations in their order, such as `create tags/log/00000001.json`.
        times: when each object was last written, in seconds since the epoch.
    """

    faults: Mapping[int, Fault] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    operations: list[str] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)

    def __call__(self, output: str) -> Store:
        """Return a store. All stores of this instance share their content, whatever their `output` is."""
        return Store(
            *(self.list_names, self.list_files, self.open, self.read, self.create, self.replace),
            *(self.replace_pointer, self.delete, self.delete_tree, self.sync),
        )

    def list_names(self, prefix: str) -> list[str]:
        """Return the names directly below a prefix, sorted."""
        with self._operation(f"list {prefix}"):
            under = (key.removeprefix(prefix + "/") for key in self.objects if key.startswith(prefix + "/"))
            return sorted({name.split("/")[0] for name in under})

    def list_files(self, prefix: str) -> list[StoredFile]:
        """Return all objects below a prefix."""
        with self._operation(f"list_files {prefix}"):
            keys = sorted(key for key in self.objects if key.startswith(prefix + "/"))
            return [StoredFile(key, len(self.objects[key]), self.times[key]) for key in keys]

    def open(self, key: str) -> BinaryIO:
        """Return an object as a file."""
        with self._operation(f"open {key}"):
            return io.BytesIO(self._content(key))

    def read(self, key: str, limit: int) -> bytes:
        """Return the first `limit` bytes of an object."""
        with self._operation(f"read {key}"):
            return self._content(key)[:limit]

    def create(self, key: str, data: bytes) -> bool:
        """Create an object; return False if it exists."""
        with self._operation(f"create {key}"):
            if key in self.objects:
                return False
            self.write(key, data)
            return True

    def replace(self, key: str, data: bytes) -> None:
        """Write an object, or replace it."""
        with self._operation(f"replace {key}"):
            self.write(key, data)

    def replace_pointer(self, prefix: str, target: str, sql: bytes) -> None:
        """Point `current` at a snapshot."""
        with self._operation(f"replace_pointer {prefix}"):
            self.write(f"{prefix}/current", target.encode())
            self.write(f"{prefix}/current.sql", sql)

    def delete(self, key: str) -> None:
        """Remove an object."""
        with self._operation(f"delete {key}"):
            self.objects.pop(key, None)

    def delete_tree(self, prefix: str, since: float) -> bool:
        """Remove all objects below a prefix, unless one has changed."""
        with self._operation(f"delete_tree {prefix}"):
            keys = [key for key in self.objects if key.startswith(prefix + "/")]
            if any(self.times[key] > since for key in keys):
                return False
            for key in keys:
                del self.objects[key]
            return True

    def sync(self, prefix: str, names: list[str]) -> None:
        """Do nothing: a power cut loses the whole store."""
        with self._operation(f"sync {prefix}"):
            pass

    def _content(self, key: str) -> bytes:
        if key not in self.objects:
            raise FileNotFoundError(errno.ENOENT, "no such object", key)
        return self.objects[key]

    def write(self, key: str, data: bytes) -> None:
        """Write an object as another program would: this counts as no operation."""
        self.objects[key], self.times[key] = data, time.time()

    @contextlib.contextmanager
    def _operation(self, name: str) -> Iterator[None]:
        self.operations.append(name)
        fault = self.faults.get(len(self.operations))
        if fault and fault.when == "before":
            raise fault.error
        yield
        if fault:
            raise fault.error
