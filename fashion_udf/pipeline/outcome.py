"""The result of a run: its counts, and `runs/<run_id>/outcome.json` and `metrics.json` for programs."""

from __future__ import annotations

import contextlib
import json
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fashion_udf.errors import FashionError, Stopped, one_line
from fashion_udf.table.paths import Location

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunCounts:
    """Counts of the rows of a run.

    Attributes:
        accepted: rows of the catalog that the run processed.
        rejected: rows of the catalog with a null or repeated id.
        scored: rows that are not carried: scored by this run or by an interrupted one.
        carried: rows that stay as they are published.
        resting: carried rows whose photo was unreachable on too many nights. They rest until their text, photo or model
            changes.
        removed: published products that left the catalog.
        duplicates: scored rows that share the result of another row.
        staged: scored rows with a result of an interrupted run.
        unreadable_texts: scored rows whose text is in a script that the tokenizer was not trained on; None if no table
            was made.
        catalog: accepted rows by what they hold, and people's decisions without a match.
        reasons: scored rows by reason.
        unchanged: processed rows that keep their published row, by cause.
        statuses: rows of the next table by status; empty if no table was made.
        decisions: rows of the next table by decision.
        modalities: rows of the next table by modality.
    """

    accepted: int = 0
    rejected: int = 0
    scored: int = 0
    carried: int = 0
    resting: int = 0
    removed: int = 0
    duplicates: int = 0
    staged: int = 0
    unreadable_texts: int | None = None
    catalog: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    unchanged: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[str, int] = field(default_factory=dict)
    decisions: Mapping[str, int] = field(default_factory=dict)
    modalities: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, int]:
        """Return the counts by their names in `outcome.json`. A count of a group is named `group.name`."""
        names = (
            "accepted",
            "rejected",
            "scored",
            "carried",
            "resting",
            "removed",
            "duplicates",
            "staged",
            "unreadable_texts",
        )
        rows = {name: int(value) for name in names if (value := getattr(self, name)) is not None}
        rows |= self.catalog
        groups = {
            "reason": self.reasons,
            "unchanged": self.unchanged,
            "status": self.statuses,
            "decision": self.decisions,
            "modality": self.modalities,
        }
        named = {f"{group}.{name}": count for group, counts in groups.items() for name, count in counts.items()}
        return rows | named


@dataclass(frozen=True)
class Outcome:
    """The result of a run. `number` and `data_dir` are those of the current snapshot, even of an earlier run."""

    run_id: str
    number: int
    data_dir: Path | str  # a URI if the output is not local
    published: bool
    counts: RunCounts


@dataclass(frozen=True)
class Preview:
    """The actions and the estimated cost of a run that did not start."""

    counts: RunCounts
    table_rows: int  # rows of the table to write; 0 if the published one stays
    table_bytes: int  # approximate bytes of the table to write
    core_seconds: float | None  # estimated core seconds of scoring; None if no run has scored yet
    cores: int
    sampled_texts: int = 0  # number of texts in a sample of the rows to score
    unreadable_texts: int = 0  # those in a script that the model's tokenizer was not trained on
    notes: tuple[str, ...] = ()  # facts about how the catalog is read, for people

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name, then the rows of the table and of the sample of texts."""
        sample = {"sampled_texts": self.sampled_texts, "unreadable_of_sample": self.unreadable_texts}
        return {**self.counts.as_dict(), "table_rows": self.table_rows, **sample}

    def costs(self) -> list[tuple[str, int, str]]:
        """Return the estimated cost: name, number and unit. Seconds are present only if a run has scored before."""
        costs = [("table", self.table_bytes, "bytes")]
        if self.core_seconds is not None:
            costs.append(("scoring", round(self.core_seconds / self.cores), "seconds"))
            costs.append(("core_time", round(self.core_seconds), "core seconds"))
        return costs


class Counts(Protocol):
    """Counts of any run."""

    def as_dict(self) -> Mapping[str, int]:
        """Return the counts by their names in `outcome.json`."""


@dataclass
class Record:
    """The counts of a run so far, which a failed run reports too."""

    counts: Counts | None = None


@contextlib.contextmanager
def recorded(directory: Location) -> Iterator[Record]:
    """Write `outcome.json`, however the run in the block ends.

    If the report cannot be written, this is logged as a warning. The outcome and the error of the run stay the same.
    """
    record = Record()
    exit_code, message = 0, "done"
    try:
        yield record
    except Exception as error:
        exit_code = error.exit_code if isinstance(error, FashionError) else 1
        message = one_line(error)
        raise
    except Stopped as stopped:
        exit_code, message = stopped.exit_code, str(stopped)
        raise
    except BaseException as error:  # includes KeyboardInterrupt
        exit_code, message = 1, f"stopped by {type(error).__name__}"
        raise
    finally:
        counts = record.counts.as_dict() if record.counts else {}
        try:
            write_outcome(directory, exit_code, counts, message)
        except OSError as error:
            logger.warning("the run ended with exit code %d, but outcome.json was not written: %s", exit_code, error)


def write_outcome(directory: Location, exit_code: int, counts: Mapping[str, int], message: str) -> None:
    """Write `outcome.json`, for schedulers that hide the exit code, as YARN does in cluster mode."""
    _write_json(directory / "outcome.json", {"exit_code": exit_code, "counts": counts, "message": message})


def write_metrics(directory: Location, metrics: Mapping[str, object]) -> None:
    """Write `metrics.json`. A number that is not finite becomes null, because JSON has no other value for it."""
    _write_json(directory / "metrics.json", metrics)


def _write_json(place: Location, tree: Mapping[str, object]) -> None:
    place.store.replace(
        place.key, json.dumps(_finite(tree), sort_keys=True, indent=2, allow_nan=False).encode() + b"\n"
    )


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
