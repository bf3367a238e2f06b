"""The page of an evaluation: one HTML file that needs no other file and runs no script.

Titles, labels and file names come from strangers: jinja2 escapes every value, photos and pictures are data URIs
made here, and the page's own policy forbids scripts and any other address.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import jinja2

from .mistakes import Mistake
from .table import Table


def render(
    title: str,
    facts: Mapping[str, str],
    tables: Sequence[Table],
    categories: Table,
    pictures: Mapping[str, bytes],
    surest: Sequence[Mistake],
    suspicious: Sequence[Mistake],
) -> str:
    """Return the page.

    Args:
        title: its heading.
        facts: name -> value, below the heading.
        tables: shown first.
        categories: the table by category, shown last.
        pictures: heading -> PNG.
        surest: wrong rows of highest confidence.
        suspicious: rows whose label is likely wrong.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__name__.rpartition(".")[0]),  # installed, training is called fashion_training
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    page: str = environment.get_template("evaluation.html").render(
        title=title,
        facts=facts,
        tables=tables,
        categories=categories,
        pictures={name: base64.b64encode(data).decode() for name, data in pictures.items()},
        surest=surest,
        suspicious=suspicious,
    )
    return page
