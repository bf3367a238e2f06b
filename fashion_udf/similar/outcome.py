"""The result of a run of `recommend`, and its preview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fashion_udf.similar.comparable import LeftOut
from fashion_udf.similar.planning import Pool


@dataclass(frozen=True)
class Differences:
    """Counts of products by their change since the published lists."""

    new: int
    changed: int
    removed: int


@dataclass(frozen=True)
class Counts:
    """Counts of the rows of a run.

    Attributes:
        tags: rows of the tags table.
        compared: products that get a list.
        left_out: rows that get no list, by cause.
        searched: lists that were searched; the others stay or were updated.
        lists: lists by their length: `full` (k entries), `short` and `empty`.
        recommended: approximate number of products in any list, with an error of about 1 %.
        since: changes since the published lists; None if all lists are searched.
    """

    tags: int = 0
    compared: int = 0
    left_out: LeftOut = LeftOut()
    searched: int = 0
    lists: Mapping[str, int] = field(default_factory=dict)
    recommended: int | None = None
    since: Differences | None = None

    def as_dict(self) -> dict[str, int]:
        """Return the counts by their names in `outcome.json`. A count of a group is named `group.name`."""
        names = ("tags", "compared", "searched", "recommended")
        plain = {name: int(value) for name in names if (value := getattr(self, name)) is not None}
        left_out = {f"left_out.{name}": count for name, count in asdict(self.left_out).items() if count}
        since = {f"since.{name}": count for name, count in asdict(self.since).items()} if self.since else {}
        return plain | left_out | since | {f"lists.{name}": count for name, count in self.lists.items()}


@dataclass(frozen=True)
class Recommended:
    """The result of a run. `number` and `data_dir` are those of the current lists, even if an earlier run made them."""

    run_id: str
    number: int
    data_dir: Path | str  # a URI if the output is not local
    published: bool
    counts: Counts


@dataclass(frozen=True)
class Preview:
    """The actions of a run that did not start."""

    counts: Counts
    pools: tuple[Pool, ...]

    def rows(self) -> list[tuple[object, ...]]:
        """Return a line for each pool, the largest first: name, candidates, wanted lists, kind of search."""
        ordered = sorted(self.pools, key=lambda pool: (-pool.candidates * pool.queries, pool.name))
        return [(_plain(pool.name), pool.candidates, pool.queries, _method(pool)) for pool in ordered]


def measures(pools: Sequence[Pool], counts: Counts) -> dict[str, object]:
    """Return the search's part of `metrics.json`: its method, recall, probes and coverage."""
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
