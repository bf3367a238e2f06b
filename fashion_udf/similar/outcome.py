"""What a run of `recommend` did: its counts, and what it would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fashion_udf.similar.comparable import LeftOut
from fashion_udf.similar.planning import Pool


@dataclass(frozen=True)
class Differences:
    """Products since the last lists, by what became of them."""

    new: int
    changed: int
    removed: int


@dataclass(frozen=True)
class Counts:
    """Rows of a run by what became of them.

    Attributes:
        tags: rows of the tags table.
        compared: products that get a list.
        left_out: rows that do not, by cause.
        searched: lists that were searched anew; the others stay, or were brought up to date.
        lists: lists by what they hold: `full` (k entries), `short` and `empty`.
        recommended: products that some list holds, to within a percent.
        since: what changed since the lists of the last run; None where all are searched.
    """

    tags: int = 0
    compared: int = 0
    left_out: LeftOut = LeftOut()
    searched: int = 0
    lists: Mapping[str, int] = field(default_factory=dict)
    recommended: int | None = None
    since: Differences | None = None

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name as in `outcome.json`; a count of a group is named `group.name`."""
        names = ("tags", "compared", "searched", "recommended")
        plain = {name: int(value) for name in names if (value := getattr(self, name)) is not None}
        left_out = {f"left_out.{name}": count for name, count in asdict(self.left_out).items() if count}
        since = {f"since.{name}": count for name, count in asdict(self.since).items()} if self.since else {}
        return plain | left_out | since | {f"lists.{name}": count for name, count in self.lists.items()}


@dataclass(frozen=True)
class Recommended:
    """What a run did. `number` and `data_dir` are of the current lists, also if this run did not publish them."""

    run_id: str
    number: int
    data_dir: Path | str  # a URI where the output is not local
    published: bool
    counts: Counts


@dataclass(frozen=True)
class Preview:
    """What a run would do."""

    counts: Counts
    pools: tuple[Pool, ...]

    def rows(self) -> list[tuple[object, ...]]:
        """Return a line for each pool, largest first: name, candidates, lists that are wanted, how it is searched."""
        ordered = sorted(self.pools, key=lambda pool: (-pool.candidates * pool.queries, pool.name))
        return [(_plain(pool.name), pool.candidates, pool.queries, _method(pool)) for pool in ordered]


def measures(pools: Sequence[Pool], counts: Counts) -> dict[str, object]:
    """Return what `metrics.json` says of the search: its method, recall, probes and coverage."""
    queries = sum(pool.queries for pool in pools)
    recall = sum(pool.queries * pool.recall for pool in pools) / queries if queries else 1.0
    compared = max(1, counts.compared)
    coverage = {"lists_full": counts.lists.get("full", 0) / compared}
    if counts.recommended is not None:
        coverage["recommended"] = min(1.0, counts.recommended / compared)
    facts = [
        {**asdict(pool), "name": _plain(pool.name), "method": _method(pool), "tasks": pool.tasks} for pool in pools
    ]
    return {"recall": recall, "coverage": coverage, "pools": facts}


def _method(pool: Pool) -> str:
    return f"{pool.probes} of {pool.parts} lists" if pool.lists else "exact"


def _plain(name: str) -> str:
    return name.replace("\x1f", ", ")
