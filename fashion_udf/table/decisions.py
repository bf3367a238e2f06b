"""People's decisions from the review: create-only files in `<output>/overrides/`. The newest of each product counts.

    overrides/<time>-<id>.json      decisions of one reviewer at one time
    overrides/part-<time>-<id>.json many of these files, joined by the nightly run, with their names

No file is ever overwritten. Readers skip a file that a part names, so that the time of its removal does not matter. Two
runs may join the same files at the same time, because reading a decision twice has no effect.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from fashion_udf.errors import SnapshotError
from fashion_udf.table.store import Store
from fashion_udf.table.stores import open_store

logger = logging.getLogger(__name__)

_FOLDER, _PART = "overrides", "part-"
#: Number of decisions from which a part is complete. A smaller part is joined with newer files.
PART_DECISIONS = 20_000
_MAX_BYTES = 256_000_000
#: Maximum of listings that are read because files were joined meanwhile.
_TRIES = 5


class Decided(BaseModel):
    """A person's decision on a product.

    Attributes:
        product_id: id of the product.
        category: the person's category. None withdraws the earlier decisions.
        before: the category that was published.
        model_category: the model's category.
        model_version: version of the model.
        by: name of the person.
        at: time of the decision, in UTC with microseconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    product_id: str
    category: str | None
    before: str | None = None
    model_category: str | None = None
    model_version: str | None = None
    by: str = ""
    at: datetime


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    decisions: tuple[Decided, ...]
    holds: tuple[str, ...] = ()  # names of the files that were joined


@dataclass
class Decisions:
    """The decisions of an output. Each file is read once."""

    store: Store
    _files: dict[str, _File] = field(default_factory=dict)
    _last: tuple[list[str], list[Decided]] = field(default_factory=lambda: ([], []))  # content by file name

    def read(self) -> list[Decided]:
        """Return all decisions, oldest first.

        Raises:
            SnapshotError: a file is damaged, or cannot be read.
        """
        for _ in range(_TRIES):
            names = self._names()
            if names == self._last[0]:
                return self._last[1]
            try:
                for name in names:
                    if name not in self._files:
                        self._files[name] = self._file(name)
                break
            except FileNotFoundError:
                continue  # the file was joined since it was listed
        else:
            raise SnapshotError(f"Expected to read {_FOLDER}/. Received: files that disappear again and again")
        self._files = {name: self._files[name] for name in names}
        held = {name for file in self._files.values() for name in file.holds}
        found = {decided for name, file in self._files.items() if name not in held for decided in file.decisions}
        self._last = names, sorted(found, key=_age)
        return self._last[1]

    def newest(self) -> dict[str, Decided]:
        """Return the newest decision of each product. A decision without a category withdraws the earlier ones."""
        return {decided.product_id: decided for decided in self.read()}

    def add(self, decided: Sequence[Decided]) -> str:
        """Write decisions to a new file, and return its name.

        Raises:
            OSError: the store failed. The file may have been written nevertheless.
        """
        name = _new_name()
        while not self.store.create(f"{_FOLDER}/{name}", _bytes(_File(decisions=tuple(decided)))):
            name = _new_name()
        self._files[name] = _File(decisions=tuple(decided))
        return name

    def compact(self) -> int:
        """Join small files into parts, remove them, and return the number of joined files.

        Raises:
            SnapshotError: a file is damaged, or cannot be read.
            OSError: the store failed. No decision is lost.
        """
        self.read()
        held = {name for file in self._files.values() for name in file.holds}
        small = [
            name for name, file in self._files.items() if len(file.decisions) < PART_DECISIONS and name not in held
        ]
        if len(small) > 1:
            decided = sorted({one for name in small for one in self._files[name].decisions}, key=_age)
            part = _File(decisions=tuple(decided), holds=tuple(small))
            if not self.store.create(f"{_FOLDER}/{_PART}{_new_name()}", _bytes(part)):
                return 0  # the next night joins them
            held |= {*small}
        for name in held & self._files.keys():
            self.store.delete(f"{_FOLDER}/{name}")
        return len(small) if len(small) > 1 else 0

    def _names(self) -> list[str]:
        return [name for name in self.store.list_names(_FOLDER) if name.endswith(".json") and not name.startswith(".")]

    def _file(self, name: str) -> _File:
        try:
            return _File.model_validate_json(self.store.read(f"{_FOLDER}/{name}", _MAX_BYTES))
        except FileNotFoundError:
            raise
        except (OSError, ValidationError) as error:
            raise SnapshotError(
                f"Expected decisions of people in {_FOLDER}/{name}. Received: {type(error).__name__}. "
                "Remove the file if it cannot be restored"
            ) from error


def compact(output: str) -> None:
    """Join the files of an output. A failure is only a warning, because the next night tries again."""
    try:
        Decisions(open_store(output)).compact()
    except (OSError, SnapshotError) as error:
        logger.warning("the files of %s/ were not joined: %s. The next run tries again", _FOLDER, error)


def categories(decided: Iterable[Decided]) -> dict[str, str]:
    """Return the category of each product by its newest decision, without withdrawn decisions."""
    newest = {one.product_id: one.category for one in sorted(decided, key=_age)}
    return {product_id: category for product_id, category in newest.items() if category}


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def _age(decided: Decided) -> tuple[datetime, str, str, str]:
    # Two decisions may have the same time. The other fields then give every reader the same order.
    return decided.at, decided.product_id, decided.by, decided.category or ""


def _new_name() -> str:
    return f"{now():%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(6)}.json"


def _bytes(file: _File) -> bytes:
    return file.model_dump_json().encode() + b"\n"
