"""People's decisions of the review: create-only files in `<output>/overrides/`, the newest of each product counts.

    overrides/<time>-<id>.json      what one reviewer decided at one time
    overrides/part-<time>-<id>.json many of these in one file, by the nightly run; it names the files that it holds

Nothing is ever written over. Readers skip a file that a part names, so it does not matter when it is removed, nor
whether two runs made parts of the same files at once: a decision that is read twice is one.
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
#: Decisions of a part: a file that is read in a moment. Parts with fewer are joined with what came since.
PART_DECISIONS = 20_000
_MAX_BYTES = 256_000_000
#: How often a listing is read again because files went into a part meanwhile.
_TRIES = 5


class Decided(BaseModel):
    """A person's decision on a product.

    Attributes:
        product_id: of the product.
        category: the person's; None: the decisions before are withdrawn.
        before: the category that was published.
        model_category: what the model says.
        model_version: of the model that said so.
        by: name of the person.
        at: when, in UTC with microseconds.
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
    holds: tuple[str, ...] = ()  # names of the files whose decisions these are


@dataclass
class Decisions:
    """The decisions of an output, read as they come: files that were read are not read again."""

    store: Store
    _files: dict[str, _File] = field(default_factory=dict)
    _last: tuple[list[str], list[Decided]] = field(
        default_factory=lambda: ([], [])
    )  # names of files, and what they hold

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
                continue  # it went into a part since it was listed
        else:
            raise SnapshotError(f"Expected to read {_FOLDER}/. Received: files that vanish again and again")
        self._files = {name: self._files[name] for name in names}
        held = {name for file in self._files.values() for name in file.holds}
        found = {decided for name, file in self._files.items() if name not in held for decided in file.decisions}
        self._last = names, sorted(found, key=_age)
        return self._last[1]

    def newest(self) -> dict[str, Decided]:
        """Return the newest decision of each product; one without a category withdraws what was decided before."""
        return {decided.product_id: decided for decided in self.read()}

    def add(self, decided: Sequence[Decided]) -> str:
        """Keep decisions in a new file, and return its name.

        Raises:
            OSError: the store failed; the decisions may be kept all the same.
        """
        name = _new_name()
        while not self.store.create(f"{_FOLDER}/{name}", _bytes(_File(decisions=tuple(decided)))):
            name = _new_name()
        self._files[name] = _File(decisions=tuple(decided))
        return name

    def compact(self) -> int:
        """Join small files in parts, and remove them; returns how many files were joined.

        Raises:
            SnapshotError: a file is damaged, or cannot be read.
            OSError: the store failed; nothing is lost.
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
                return 0  # the next night does
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
                f"Expected decisions of people in {_FOLDER}/{name}. Received: {type(error).__name__}; "
                "remove the file if what it held is lost"
            ) from error


def compact(output: str) -> None:
    """Join the files of an output; a failure is a warning, as the next night does it."""
    try:
        Decisions(open_store(output)).compact()
    except (OSError, SnapshotError) as error:
        logger.warning("the files of %s/ were not joined: %s; the next run does", _FOLDER, error)


def categories(decided: Iterable[Decided]) -> dict[str, str]:
    """Return the category of each product, the newest decision's; withdrawn ones are left out."""
    newest = {one.product_id: one.category for one in sorted(decided, key=_age)}
    return {product_id: category for product_id, category in newest.items() if category}


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


def _age(decided: Decided) -> tuple[datetime, str, str, str]:
    # Clocks of two machines may agree to the microsecond: then the order is at least the same for every reader.
    return decided.at, decided.product_id, decided.by, decided.category or ""


def _new_name() -> str:
    return f"{now():%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(6)}.json"


def _bytes(file: _File) -> bytes:
    return file.model_dump_json().encode() + b"\n"
