"""The figures of a run's page, with types. `figures.json` has the same figures for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

#: Bars of the histogram of confidences, each 5 points wide.
BARS = 20


@dataclass(frozen=True)
class Step:
    """A step of the funnel: the number of rows, and the DuckDB query that lists them; None without a table."""

    name: str
    rows: int
    query: str | None = None


@dataclass(frozen=True)
class Pair:
    """Products whose category changed from one to another: rows by cause, and a few ids."""

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
    """Waiting products whose photo alone and text alone have different families, and a few ids."""

    suspect: str  # photo or text: which one is probably wrong
    image: str
    text: str
    rows: int
    examples: Sequence[str]


@dataclass(frozen=True)
class Unsure:
    """One of the least certain products of a category."""

    product_id: str
    confidence: float
    decision: str


@dataclass(frozen=True)
class Category:
    """A category: rows, share of the table, change of the share since the published table, the least certain rows."""

    name: str
    rows: int
    share: float
    shift: float | None
    least_sure: Sequence[Unsure] = ()


@dataclass(frozen=True)
class Acceptance:
    """The number of people's decisions on a category of the model, and of those that agreed with it."""

    category: str
    decided: int
    agreed: int


@dataclass(frozen=True)
class FormerRun:
    """A run as one line: its exit code, rows and shares. Unknown values are None."""

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
    """Time and cost: seconds by step, `bottleneck` (the longest step), and money in the currency of the price."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    total_seconds: float = 0.0
    bottleneck: str | None = None
    cores: int | None = None
    rows_per_second: float | None = None  # scored rows, divided by the seconds of scoring
    requests: Mapping[str, int] = field(default_factory=dict)
    per_million_rows: float | None = None


@dataclass(frozen=True)
class Difference:
    """An input that differs from the previous run."""

    key: str
    before: str
    now: str


@dataclass(frozen=True)
class Command:
    """A command, and its purpose."""

    purpose: str
    text: str


@dataclass(frozen=True)
class RunFigures:
    """The content of a run's page.

    Attributes:
        exit_code: 0 published or nothing to do, 3 refused, otherwise failed.
        verdict: the result in one line.
        gates: the message of each gate that refused the table.
        remedy: the next command after a refusal or a failure; None after a success.
        message: the whole error, from `outcome.json`.
        number: number of the current commit after the run; None if nothing was ever published.
        suspects: the largest groups of products whose photo or text is probably wrong.
        suspect_rows: number of all such products that wait, by the input that is probably wrong.
        histogram: rows by confidence, `BARS` bars from 0 to 1; None if no table was made.
        history: the last runs with this one, oldest first.
        missing: parts of the page that could not be made, with the reasons.
    """

    run_id: str
    exit_code: int
    verdict: str
    message: str
    gates: Mapping[str, str] = field(default_factory=dict)
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
        """Return the content of `figures.json`."""
        return asdict(self)
