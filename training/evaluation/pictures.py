"""Pictures of an evaluation, as PNG: the confusion matrix and the reliability diagrams.

They use matplotlib's Figure directly, which needs no display and no global state.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from . import measures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 110
_CELL = 0.2  # inches: enough for a legible label of 7 points
_MARGIN = 3.0  # inches, for the labels


def confusion(matrix: NDArray[np.int64], names: Sequence[str]) -> bytes:
    """Draw a confusion matrix. A darker cell has a larger share of its label's rows; its number counts rows.

    Args:
        matrix: int64[K, K], labels by predicted categories. Categories without rows are left out.
        names: the K categories.
    """
    shown = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
    counts = matrix[np.ix_(shown, shown)]
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    size = max(4.0, _CELL * len(shown)) + _MARGIN
    with _figure(size, size) as figure:
        axes = figure.add_subplot()
        axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)  # the square root makes a single confusion visible
        labels = [_shortened(names[index]) for index in shown.tolist()]
        axes.set_xticks(range(len(shown)), labels, rotation=90, fontsize=7)
        axes.set_yticks(range(len(shown)), labels, fontsize=7)
        axes.set_xlabel("predicted category")
        axes.set_ylabel("label")
        axes.set_xticks(np.arange(len(shown) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(shown) + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="#e4e8ee", linewidth=0.4)
        axes.tick_params(which="minor", length=0)
        for row, column in np.argwhere(counts):
            colour = "white" if shares[row, column] > 0.3 else "#b3261e" if row != column else "#1f2937"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=6, color=colour)
        return _png(figure)


def reliability(bins: Mapping[str, Sequence[measures.Bin | None]], errors: Mapping[str, float]) -> bytes:
    """Draw a reliability diagram for each input: accuracy over confidence, and the number of rows in each bin.

    Args:
        bins: title of a diagram -> bins of equal width from 0 to 1.
        errors: title of a diagram -> expected calibration error.
    """
    with _figure(3.4 * len(bins), 4.4) as figure:
        above = figure.subplots(2, len(bins), squeeze=False, sharex=True, height_ratios=(3, 1))
        for column, (title, parts) in enumerate(bins.items()):
            _diagram(above[0][column], above[1][column], parts)
            above[0][column].set_title(f"{title}: calibration error {errors[title]:.3f}", fontsize=10)
        above[0][0].set_ylabel("accuracy")
        above[1][0].set_ylabel("rows")
        return _png(figure)


def _diagram(accuracy: Axes, rows: Axes, parts: Sequence[measures.Bin | None]) -> None:
    width = 1 / len(parts)
    filled = [(width * (number + 0.5), part) for number, part in enumerate(parts) if part is not None]
    centres = [centre for centre, _ in filled]
    accuracy.bar(centres, [part.accuracy for _, part in filled], width, color="#4c78a8", edgecolor="white")
    means = [part.confidence for _, part in filled], [part.accuracy for _, part in filled]
    accuracy.plot(*means, "o", color="#1f2937", markersize=3)
    accuracy.plot([0, 1], [0, 1], color="#b3261e", linewidth=1, linestyle="--")
    accuracy.set(xlim=(0, 1), ylim=(0, 1))
    rows.bar(centres, [part.rows for _, part in filled], width, color="#9aa5b1", edgecolor="white")
    rows.set_yscale("symlog")
    rows.yaxis.set_major_formatter("{x:.0f}")  # the default format is a formula
    rows.set_xlabel("confidence")


@contextmanager
def _figure(width: float, height: float) -> Iterator[Figure]:
    """Yield a figure on which names are plain text: a category named "$x$" is no formula."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"text.parse_math": False}):
        yield Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _shortened(name: str) -> str:
    # White space such as a line break would shift the labels of other rows.
    name = " ".join(name.split())
    return name if len(name) <= 32 else name[:31] + "…"
