"""Report what another bundle would change in the published table, and its cost, from the rows of a sample."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fashion_udf import console
from fashion_udf.model.bundle import Bundle
from fashion_udf.progress import duration
from fashion_udf.schema import Decision

#: Columns of a row before and after: results of the model, and its inputs.
FACTS = ("category", "decision", "confidence", "novelty", "image_sha256", "text")

#: Why a row of the sample is not compared: it left the catalog, or has a null or repeated id; its photo is unreachable
#: now; its photo or text changed; or a model gave it no category.
NOT_IN_CATALOG, PHOTO_GONE, CONTENT_CHANGED, NOT_SCORED = (
    "not_in_catalog",
    "photo_gone",
    "content_changed",
    "not_scored",
)

SHOWN_FLIPS = 20  # maximum of pairs in the text; the record holds all of them
_EXAMPLES = 3  # maximum of ids of a pair
_DECISIONS = tuple(decision.value for decision in Decision)


@dataclass(frozen=True)
class Scoring:
    """The bundle, engine and precision that scored the sample."""

    model_version: str
    engine: str
    precision: str


@dataclass(frozen=True)
class Cost:
    """The time of scoring, with the start of the workers and engines, and an estimate for all rows of the table."""

    table_rows: int
    scored_rows: int
    seconds: float
    cores: int

    @property
    def rows_per_second(self) -> float:
        """Rows per second on all cores together."""
        return self.scored_rows / self.seconds

    @property
    def night_seconds(self) -> float | None:
        """Seconds to score every row of the table on these cores; None if nothing was scored."""
        return self.table_rows / self.rows_per_second if self.scored_rows else None

    def as_dict(self) -> dict[str, Any]:
        """Return the figures by name. `night_core_seconds` is the sum over the cores."""
        night = self.night_seconds
        core_seconds = None if night is None else night * self.cores
        derived = {"rows_per_second": self.rows_per_second, "night_seconds": night, "night_core_seconds": core_seconds}
        return {**asdict(self), **derived}


@dataclass(frozen=True)
class Flip:
    """Rows that change from one category to another, with their first ids."""

    before: str
    after: str
    rows: int
    examples: list[str]


@dataclass(frozen=True)
class Report:
    """The changes that a bundle would make.

    Attributes:
        scoring: the bundle, engine and precision that scored the sample.
        present_version: version of the bundle that the configuration names.
        models: rows of the sample by the model version that published them.
        sampled: number of rows of the sample.
        compared: rows that both models scored, with the same text and photo.
        not_compared: the other rows, by cause.
        flips: pairs of categories, the largest number of rows first.
        decisions: compared rows by decision before, then by decision after.
        lost, added: categories that only the configuration's bundle has, and those that only the new one has.
        confidence, novelty: means of the compared rows, `before` and `after`; None if no row has the figure.
        cost: the cost of scoring.
    """

    scoring: Scoring
    present_version: str
    models: dict[str, int]
    sampled: int
    compared: int
    not_compared: dict[str, int]
    flips: list[Flip]
    decisions: dict[str, dict[str, int]]
    lost: list[str]
    added: list[str]
    confidence: dict[str, float | None]
    novelty: dict[str, float | None]
    cost: Cost

    @property
    def flipped(self) -> int:
        """Number of compared rows whose category changes."""
        return sum(flip.rows for flip in self.flips)

    def as_dict(self) -> dict[str, Any]:
        """Return the report for `--json`."""
        flips = [
            {"from": flip.before, "to": flip.after, "rows": flip.rows, "examples": flip.examples} for flip in self.flips
        ]
        return {**asdict(self), "flips": flips, "flipped": self.flipped, "cost": self.cost.as_dict()}


def report(rows: pd.DataFrame, present: Bundle, new: Bundle, scoring: Scoring, cost: Cost) -> Report:
    """Count what changes.

    Args:
        rows: `product_id`, the published `model_version`, `status` (null if the product was not scored), and each of
            `FACTS` with the suffixes `_before` and `_after`.
        present: the bundle that the configuration names.
        new: the bundle that scored the sample.
        scoring: the engine and precision of the new bundle.
        cost: the cost of scoring with the new bundle.
    """
    causes = _causes(rows)
    compared = rows[causes == ""]
    not_compared = pd.Series(causes[causes != ""]).value_counts()
    crossed = compared.groupby(["decision_before", "decision_after"]).size()
    return Report(
        scoring=scoring,
        present_version=present.model_version,
        models={str(name): int(count) for name, count in rows["model_version"].value_counts().items()},
        sampled=len(rows),
        compared=len(compared),
        not_compared={str(name): int(count) for name, count in not_compared.items()},
        flips=_flips(compared),
        decisions={old: {name: int(crossed.get((old, name), 0)) for name in _DECISIONS} for old in _DECISIONS},
        lost=sorted({*present.labels} - {*new.labels}),
        added=sorted({*new.labels} - {*present.labels}),
        confidence=_means(compared, "confidence"),
        novelty=_means(compared, "novelty"),
        cost=cost,
    )


def _causes(rows: pd.DataFrame) -> NDArray[np.str_]:
    """Return why each row is not compared; an empty string for a compared row."""
    photo_before, photo_after = rows["image_sha256_before"], rows["image_sha256_after"]
    other_photo = photo_before.fillna("") != photo_after.fillna("")
    unscored = rows["category_before"].isna() | rows["category_after"].isna()
    causes = {
        NOT_IN_CATALOG: rows["status"].isna(),
        PHOTO_GONE: other_photo & photo_after.isna(),
        CONTENT_CHANGED: other_photo | (rows["text_before"] != rows["text_after"]),
        NOT_SCORED: unscored,
    }
    return np.select([*causes.values()], [*causes], "")


def _flips(compared: pd.DataFrame) -> list[Flip]:
    moved = compared[compared["category_before"] != compared["category_after"]]
    pairs = moved.groupby(["category_before", "category_after"])["product_id"]
    flips = [Flip(str(pair[0]), str(pair[1]), len(ids), sorted(ids)[:_EXAMPLES]) for pair, ids in pairs]
    return sorted(flips, key=lambda flip: (-flip.rows, flip.before, flip.after))


def _means(compared: pd.DataFrame, name: str) -> dict[str, float | None]:
    columns = {side: compared[f"{name}_{side}"].astype(float).dropna() for side in ("before", "after")}
    return {side: float(column.mean()) if len(column) else None for side, column in columns.items()}


def text(found: Report) -> str:
    """Return the report as tables of text. A part without rows has no table."""
    after = {name: sum(row[name] for row in found.decisions.values()) for name in _DECISIONS}
    before = {name: sum(row.values()) for name, row in found.decisions.items()}
    shares = [
        (name, *(cell for side in (before, after) for cell in (side[name], _share(side[name], found.compared))))
        for name in _DECISIONS
    ]
    parts = [
        _heading(found),
        console.table(
            ("mean", "before", "after"),
            [("confidence", *found.confidence.values()), ("novelty", *found.novelty.values())],
        ),
        console.table(("decision", "before", "share", "after", "share"), shares),
        console.table(
            ("before, and after:", *_DECISIONS), [(name, *row.values()) for name, row in found.decisions.items()]
        ),
    ]
    if found.flips:
        shown = [(flip.before, flip.after, flip.rows, ", ".join(flip.examples)) for flip in found.flips[:SHOWN_FLIPS]]
        parts.append(console.table(("from", "to", "rows", "such as"), shown))
    for whose, names in (("present", found.lost), ("new", found.added)):
        if names:
            parts.append(console.table((f"categories only of the {whose} bundle",), [(name,) for name in names]))
    return "\n".join([*parts, _cost(found.cost)])


def _heading(found: Report) -> str:
    of = found.scoring
    causes = sorted(found.not_compared.items(), key=lambda item: (-item[1], item[0]))
    counts = [
        ("sampled", found.sampled),
        *((f"not compared: {cause}", rows) for cause, rows in causes),
        ("compared", found.compared),
        ("category changed", found.flipped),
    ]
    lines = f"bundle {of.model_version} with {of.engine} {of.precision}, compared with the published rows\n"
    if others := sum(rows for version, rows in found.models.items() if version != found.present_version):
        lines += (
            f"{others} of {found.sampled} rows were published by another model than the configuration's, "
            f"{found.present_version}\n"
        )
    shares = [(name, rows, _share(rows, found.sampled)) for name, rows in counts[:-1]]
    flipped = (*counts[-1], f"{_share(found.flipped, found.compared)} of compared")
    return f"{lines}\n{console.table(('rows', '', 'share'), [*shares, flipped])}"


def _cost(cost: Cost) -> str:
    night, cores = cost.night_seconds, f"{cost.cores} cores"
    if night is None:
        return "nothing was scored\n"
    return (
        f"{cost.rows_per_second:.1f} rows/s on {cores}, with the start of the workers: to score all "
        f"{cost.table_rows} rows takes {duration(night)} on them, {duration(night * cost.cores)} of one core\n"
    )


def _share(rows: int, total: int) -> str:
    return f"{rows / total:.1%}" if total else "-"
