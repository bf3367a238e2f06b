"""The findings of a catalog audit as one HTML file with pictures."""

from __future__ import annotations

import base64
import contextlib
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from fashion_udf.files import replace_file
from fashion_udf.photos import small_photos
from fashion_udf.photos.sandbox import SandboxedDecoder
from fashion_udf.similar.sheet import Tile, sheet
from fashion_udf.similar.shown import Shown

_HEADINGS = {
    "mislabelled": "Labels that look wrong: most neighbours have another category",
    "duplicates": "Products that may be listed twice",
    "outliers": "Odd ones out: the nearest product is far",
}
_STYLE = "body{font:14px sans-serif;margin:2em}figure{display:inline-block;margin:6px;max-width:330px}"
_SIDE = 150  # of a photo, in pixels


def read(directory: Path, most: int) -> dict[str, list[dict[str, Any]]]:
    """Return the first rows of each table of findings."""
    return {name: pq.read_table(directory / f"{name}.parquet").slice(0, most).to_pylist() for name in _HEADINGS}


def ids(findings: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Return the unique products of findings."""
    named = [
        row[name] for rows in findings.values() for row in rows for name in ("product_id", "other_id") if name in row
    ]
    return list(dict.fromkeys(named))


def write(
    path: Path,
    findings: Mapping[str, Sequence[Mapping[str, Any]]],
    known: Mapping[str, Shown],
    counts: Mapping[str, int],
) -> None:
    """Write the page.

    Args:
        path: path of the HTML file.
        findings: the result of `read`.
        known: titles and photos by id.
        counts: number of rows of each table.
    """
    parts = [f"<!doctype html><meta charset=utf-8><title>Catalog audit</title><style>{_STYLE}</style>"]
    with contextlib.closing(SandboxedDecoder(small_photos.SECONDS)) as decoder:
        for name, heading in _HEADINGS.items():
            parts.append(f"<h2>{heading}</h2><p>{len(findings[name])} of {counts[name]}, the surest first</p>")
            parts += [_figure(row, known, decoder) for row in findings[name]]
    replace_file(path, "\n".join(parts).encode("utf-8", "replace"))


def _figure(row: Mapping[str, Any], known: Mapping[str, Shown], decoder: SandboxedDecoder) -> str:
    shown = [known.get(row[name], Shown(None, None)) for name in ("product_id", "other_id") if name in row]
    tiles = [Tile(each.photo, (each.title or "",)) for each in shown]
    picture = base64.b64encode(sheet([tiles], decoder, _SIDE)).decode()
    facts = ", ".join(f"{name} {_text(value)}" for name, value in row.items())
    return f'<figure><img src="data:image/jpeg;base64,{picture}"><figcaption>{html.escape(facts)}</figcaption></figure>'


def _text(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
