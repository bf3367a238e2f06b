"""A table of figures as plain text, as Markdown or in a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fashion_udf import console

_NONE = "-"


@dataclass(frozen=True)
class Table:
    """A table of formatted cells. The first column is text, the others are numbers unless `words` names them."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    words: Sequence[str] = ()

    def as_text(self) -> str:
        """Return aligned lines: the columns, a rule below them, the rows, the note."""
        first, *others = zip(self.columns, *self.rows, strict=True)
        # Not `console.table`: these cells are text, because each figure has its own number of digits.
        padded = [[cell.rjust(max(map(len, column))) for cell in column] for column in others]
        head, *rows = zip(first, *padded, strict=True)
        return console.table(head, rows) + (f"{self.note}\n" if self.note else "")

    def as_markdown(self) -> str:
        """Return the table for a model card."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + (f"\n\n{self.note}" if self.note else "")


def cell(value: float | None, key: str = "") -> str:
    """Return a figure as text, or a dash for None. Numbers of rows have no decimals."""
    if value is None:
        return _NONE
    return f"{value:.0f}" if key == "rows" else f"{value:.4f}"


def interval(bounds: Sequence[float] | None, before: str = "") -> str:
    """Return an interval as text, with `before` in front of it; an empty string for None."""
    return f"{before}({bounds[0]:.4f} to {bounds[1]:.4f})" if bounds else ""
