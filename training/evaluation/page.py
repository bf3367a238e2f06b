"""The page of an evaluation: one HTML file that needs no other file and runs no script.

Titles, labels and file names come from strangers: the template escapes every value, photos and pictures are data URIs
made here, and the page's own policy forbids scripts and any other address.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import jinja2

from .mistakes import Mistake
from .tables import Table

_TEMPLATE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; color: #1f2937; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.5rem; margin-bottom: .2rem; }
  h2 { font-size: 1.15rem; margin-top: 2.4rem; }
  p, dl { color: #52606d; margin: .3rem 0; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; }
  dd { margin: 0; overflow-wrap: anywhere; }
  .wide { overflow-x: auto; }
  table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
  th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #e4e8ee; white-space: nowrap; }
  th { color: #52606d; font-weight: 600; }
  th:first-child, td:first-child, .word { text-align: left; }
  .cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(165px, 1fr)); gap: 1rem; margin-top: 1rem; }
  figure { margin: 0; border: 1px solid #e4e8ee; border-radius: 6px; overflow: hidden; font-size: 13px; }
  figure img, .absent { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; background: #fff; }
  .absent { display: grid; place-items: center; color: #9aa5b1; background: #f5f7fa; }
  figcaption { padding: .5rem .7rem; border-top: 1px solid #e4e8ee; overflow-wrap: anywhere; }
  figcaption small { color: #52606d; }
  .wrong { color: #b3261e; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<dl>{% for name, value in facts.items() %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
{% macro cards(rows) %}
<div class="cards">
{% for row in rows %}
<figure>
{% if row.photo %}<img src="{{ row.photo }}" alt="">{% else %}<div class="absent">no photo</div>{% endif %}
<figcaption>{{ row.title or "no title" }}<br>
label <b>{{ row.label }}</b><br>
<span class="wrong">{{ row.predicted }}</span> {{ "%.3f" | format(row.confidence) }}<br>
<small>{{ row.product_id }}</small></figcaption>
</figure>
{% endfor %}
</div>
{% endmacro %}
{% macro show(table) %}
<h2>{{ table.title }}</h2>
<div class="wide"><table>
<tr>{% for name in table.columns %}<th{% if name in table.words %} class="word"{% endif %}>{{ name }}</th>
{% endfor %}</tr>
{% for row in table.rows %}
<tr>{% for cell in row %}<td{% if table.columns[loop.index0] in table.words %} class="word"{% endif %}>{{ cell }}</td>
{% endfor %}</tr>
{% endfor %}
</table></div>
<p>{{ table.note }}</p>
{% endmacro %}
{% for table in tables %}{{ show(table) }}{% endfor %}
<h2>Labels that are likely wrong</h2>
<p>The photo alone and the text alone agree on another category than the label; the lower confidence of the two.
{% if not suspicious %}There are none.{% endif %}</p>
{{ cards(suspicious) }}
<h2>Surest mistakes</h2>
<p>Rows whose category is not the label, by confidence, with photo and text.
{% if not surest %}There are none.{% endif %}</p>
{{ cards(surest) }}
{% for name, picture in pictures.items() %}
<h2>{{ name }}</h2>
<div class="wide"><img src="data:image/png;base64,{{ picture }}" alt="{{ name }}"></div>
{% endfor %}
{{ show(categories) }}
</body>
</html>
"""


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
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    page: str = environment.from_string(_TEMPLATE).render(
        title=title,
        facts=facts,
        tables=tables,
        categories=categories,
        pictures={name: base64.b64encode(data).decode() for name, data in pictures.items()},
        surest=surest,
        suspicious=suspicious,
    )
    return page
