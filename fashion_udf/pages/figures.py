"""Every figure of a run's page, typed; `figures.json` is the same for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

#: Bars of the histogram of confidences, each 5 points wide.
BARS = 20


@dataclass(frozen=True)
class Step:
    """A step of the funnel: how many rows, and the DuckDB query that lists them; no query where no table was made."""

    name: str
    rows: int
    query: str | None = None


@dataclass(frozen=True)
class Pair:
    """Products that changed from one category to another: rows by cause, and a few ids."""

    before: str | None
    after: str | None
    rows: int
    causes: Mapping[str, int]
    examples: Sequence[str]


@dataclass(frozen=True)
class Failure:
    """Rows with the same status and the same error, and a few ids."""

    status: str
    error: str | None
    rows: int
    examples: Sequence[str]


@dataclass(frozen=True)
class Suspects:
    """Products that wait, whose photo alone shows one family and whose text alone says another, and a few ids."""

    suspect: str  # photo or text: which of the two is likely wrong
    image: str
    text: str
    rows: int
    examples: Sequence[str]


@dataclass(frozen=True)
class Unsure:
    """A product of a category that the model is least sure of."""

    product_id: str
    confidence: float
    decision: str


@dataclass(frozen=True)
class Category:
    """A category: rows, share of the table, how much the share moved since the published table, the least sure rows."""

    name: str
    rows: int
    share: float
    shift: float | None
    least_sure: Sequence[Unsure] = ()


@dataclass(frozen=True)
class Acceptance:
    """How often people decided on a category of the model, and how often they agreed with it."""

    category: str
    decided: int
    agreed: int


@dataclass(frozen=True)
class FormerRun:
    """A run in a line: its exit code, rows and shares; what a run did not count is None."""

    run_id: str
    exit_code: int
    rows: int | None = None
    scored: int | None = None
    auto: float | None = None
    review: float | None = None
    abstain: float | None = None
    failed: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Cost:
    """Where the time went. Seconds by step; `bottleneck` is the longest; money is in the currency of the price."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    total_seconds: float = 0.0
    bottleneck: str | None = None
    cores: int | None = None
    rows_per_second: float | None = None  # scored rows, by the seconds of scoring
    requests: Mapping[str, int] = field(default_factory=dict)
    per_million_rows: float | None = None


@dataclass(frozen=True)
class Difference:
    """A value that is not as it was in the run before."""

    key: str
    before: str
    now: str


@dataclass(frozen=True)
class Command:
    """A command, and what it is for."""

    purpose: str
    text: str


@dataclass(frozen=True)
class RunFigures:
    """What the page of a run shows.

    Attributes:
        exit_code: 0 published or nothing to do, 3 refused, else failed.
        verdict: one line.
        remedy: the command that goes on after a refusal or a failure; None after a success.
        message: of `outcome.json`: the whole error.
        number: of the commit that is current after the run; None if nothing was ever published.
        suspects: the largest groups of products whose photo or text is likely wrong.
        suspect_rows: all such products that wait, by what is likely wrong.
        histogram: rows by confidence, `BARS` bars from 0 to 1; None if no table was made.
        history: the last runs, this one included, oldest first.
        missing: parts of the page that could not be made, and why.
    """

    run_id: str
    exit_code: int
    verdict: str
    message: str
    remedy: Command | None = None
    number: int | None = None
    funnel: Sequence[Step] = ()
    changed: int = 0
    pairs: Sequence[Pair] = ()
    suspects: Sequence[Suspects] = ()
    suspect_rows: Mapping[str, int] = field(default_factory=dict)
    failures: Sequence[Failure] = ()
    decisions: Mapping[str, int] = field(default_factory=dict)
    modalities: Mapping[str, int] = field(default_factory=dict)
    histogram: Sequence[int] | None = None
    previous_histogram: Sequence[int] | None = None
    history: Sequence[FormerRun] = ()
    acceptance: Sequence[Acceptance] = ()
    categories: Sequence[Category] = ()
    cost: Cost = Cost()
    inputs: Mapping[str, str] = field(default_factory=dict)
    differences: Sequence[Difference] = ()
    commands: Sequence[Command] = ()
    missing: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return what `figures.json` holds."""
        return asdict(self)
