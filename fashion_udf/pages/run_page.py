"""Render the page of a run: figures and small photos in one HTML file without scripts.

The template escapes all texts of the catalog, and the page's content security policy loads and runs nothing.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fashion_udf.pages.figures import FormerRun, RunFigures
from fashion_udf.pages.table_figures import LEAST_SURE

#: Maximum of bytes of the photos as text: a page has at most 3 MB. The other parts are limited below.
PHOTO_BYTES = 2_000_000
#: Maximum of characters of a text: a description may have 10 MB.
TEXT = 300
ERROR = 2_000
#: Maximum of categories: a bundle may have thousands.
CATEGORIES = 100


@dataclass(frozen=True)
class Product:
    """The title of a product, and a JPEG of 96 pixels."""

    title: str | None = None
    photo: bytes | None = None


def render(figures: RunFigures, products: Mapping[str, Product] | None = None) -> str:
    """Return the page of a run.

    Args:
        figures: the figures of the run.
        products: the products by id, if they could be read. Photos above `PHOTO_BYTES` are left out.
    """
    products = products or {}
    photos = _data_uris(products)

    def product(product_id: str) -> dict[str, str | None]:
        known = products.get(product_id, Product())
        return {"id": product_id, "title": known.title, "photo": photos.get(product_id)}

    return _rendered("run.html", figures=figures, product=product, categories_shown=CATEGORIES)


def render_index(runs: Sequence[tuple[FormerRun, str]]) -> str:
    """Return `<output>/index.html`: the runs, newest first, each with its verdict."""
    return _rendered("runs.html", runs=runs)


def _rendered(name: str, **values: Any) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fashion_udf.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "percent": percent,
        "points": points,
        "when": when,
        "cut": cut,
        "line": line,
        "bars": bars,
        "seconds": seconds,
    }
    return str(environment.get_template(name).render(values))


def _data_uris(products: Mapping[str, Product]) -> dict[str, str]:
    uris, left = {}, PHOTO_BYTES
    for product_id, product in products.items():
        if product.photo is None:
            continue
        uri = "data:image/jpeg;base64," + base64.b64encode(product.photo).decode("ascii")
        left -= len(uri)
        if left < 0:
            break
        uris[product_id] = uri
    return uris


def number(value: float | None) -> str:
    """Return a count with commas between thousands; a dash for None."""
    return "–" if value is None else f"{value:,.0f}"


def percent(share: float | None) -> str:
    """Return a share such as 12.3 %; a dash for None."""
    return "–" if share is None else f"{100 * share:.1f} %"


def points(share: float | None) -> str:
    """Return a difference of shares in points, with its sign; a dash for None."""
    return "–" if share is None else f"{100 * share:+.2f}"


def seconds(value: float | None) -> str:
    """Return a duration such as 1 h 2 min, 3 min 4 s or 5.6 s; a dash for None."""
    if value is None:
        return "–"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def when(run_id: str) -> str:
    """Return the time in a run's id, such as 2026-11-27 02:00 UTC; the id itself if it has none."""
    time = started(run_id)
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else run_id


def started(run_id: str) -> datetime | None:
    """Return when a run started, from its id."""
    try:
        return datetime.strptime(run_id.partition("-")[0], "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def cut(text: str | None, most: int = TEXT) -> str:
    """Return a text of at most `most` characters."""
    text = text or ""
    return text if len(text) <= most else text[: most - 1] + "…"


def line(values: Sequence[float | None], width: int = 160, height: int = 36) -> list[str]:
    """Return the points of a sparkline for SVG, from 0 to the largest value: one part for each run of known values."""
    top = max((value for value in values if value is not None), default=0) or 1.0
    step = (width - 6) / max(len(values) - 1, 1)
    parts: list[list[str]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            parts.append([])
        else:
            parts[-1].append(f"{3 + index * step:.1f},{height - 3 - (height - 6) * value / top:.1f}")
    return [" ".join(part) for part in parts if part]


def bars(counts: Sequence[int]) -> list[float]:
    """Return the heights of a histogram's bars, as shares of its rows."""
    total = sum(counts) or 1
    return [count / total for count in counts]


def quoted(*words: str) -> str:
    """Return a command line for a shell."""
    return shlex.join(words)


def products_shown(figures: RunFigures) -> list[str]:
    """Return the ids of the products whose photos the page shows, in their order on the page."""
    ids = [product_id for pair in figures.pairs for product_id in pair.examples]
    ids += [product_id for suspects in figures.suspects for product_id in suspects.examples]
    for place in range(LEAST_SURE):
        for category in figures.categories[:CATEGORIES]:
            ids += [one.product_id for one in category.least_sure[place : place + 1]]
    return ids
