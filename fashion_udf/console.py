"""Text for the terminal: tables in aligned columns, and summaries of counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def summary(counts: Mapping[str, int]) -> str:
    """Return a run's counts, such as `accepted`, `status.ok` and `decision.review`, as tables of text.

    The first table has the counts without a dot. The others form one table for each word before the dot, with shares,
    the largest count first.
    """
    groups: dict[str, dict[str, int]] = {}
    for key, count in counts.items():
        group, _, name = key.rpartition(".")
        groups.setdefault(group, {})[name] = count
    parts = [table(("run", "rows"), run.items())] if (run := groups.pop("", {})) else []
    for group, values in groups.items():
        total = max(1, sum(values.values()))
        ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
        parts.append(table((group, "rows", "share"), [(*item, f"{100 * item[1] / total:.1f} %") for item in ordered]))
    return "\n".join(parts)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as text in aligned columns, with numbers to the right and control characters escaped."""
    data = [list(row) for row in rows]
    texts = [[_plain(name) for name in columns], *([_cell(value) for value in row] for row in data)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    numeric = [bool(column) and all(_is_number(value) for value in column) for column in zip(*data, strict=True)]
    numeric = numeric or [False] * len(widths)
    texts.insert(1, ["-" * width for width in widths])
    lines = (
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in texts
    )
    return "\n".join(lines) + "\n"


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, (int, float))


def _cell(value: object) -> str:
    if value is None:
        return "null"
    return _plain(f"{value:.3f}" if isinstance(value, float) else str(value))


def _plain(text: str) -> str:
    """Escape control characters: an escape sequence in a product id must not reach the terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
