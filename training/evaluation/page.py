"""The page of an evaluation: one HTML file that needs no other file and runs no script.

Titles, labels and file names are untrusted. So jinja2 escapes every value, photos and pictures are data URIs that this
project encodes, and the page's content security policy forbids scripts and other addresses.
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
        title: the heading.
        facts: name -> value, below the heading.
        tables: the first tables.
        categories: the table by category, at the end.
        pictures: heading -> PNG.
        surest: wrong rows with the highest confidence.
        suspicious: rows whose label is probably wrong.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__name__.rpartition(".")[0]),  # the installed package is named fashion_training
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
