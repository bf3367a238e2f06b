"""Batches of rows to score, and their rows one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

#: A photo (bytes or a URI), and what is known of it: `Batch.known_sha256` and `Batch.known_validator`.
Row: TypeAlias = tuple[bytes | str | None, tuple[str | None, str | None]]


@dataclass(frozen=True)
class Batch:
    """Rows to score, in the same order in each field.

    Attributes:
        titles, descriptions: the texts.
        photos: bytes or URIs. They are read one at a time, so that an iterator may read each at its turn.
        known_sha256: a row is `unchanged` and not scored if its photo has this sha256.
        known_validator: or if its host answers that the photo has this ETag still, or was not modified since this date.
    """

    titles: Sequence[str | None]
    descriptions: Sequence[str | None]
    photos: Iterable[bytes | str | None]
    known_sha256: Sequence[str | None] | None = None
    known_validator: Sequence[str | None] | None = None


def rows(batches: Iterable[Batch]) -> Iterator[Batch | Row]:
    """Yield each batch, and then its rows. A batch is taken when the rows of the one before are."""
    for batch in batches:
        yield batch
        nothing = [None] * len(batch.titles)
        known = zip(batch.known_sha256 or nothing, batch.known_validator or nothing, strict=True)
        yield from zip(batch.photos, known, strict=True)
