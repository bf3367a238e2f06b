"""Show the current snapshot, with the DuckDB queries, ready to copy.

.venv/bin/python jobs/show_tags.py --output DIR
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from fashion_udf import cli, config, console
from fashion_udf.config import JobConfig
from fashion_udf.errors import EnvironmentUnsupportedError, InputError
from fashion_udf.table import s3_store
from fashion_udf.table.paths import TAGS, Location
from fashion_udf.table.store import is_local

_MAX_VIEW_BYTES = 100_000
#: The queries, by heading.
QUERIES = {
    "Products by category and status": """\
SELECT category, status, count(*) AS products
FROM tags
GROUP BY category, status
ORDER BY category, products DESC;""",
    "Products by decision and modality": """\
SELECT decision, modality, count(*) AS products, round(avg(confidence), 3) AS mean_confidence
FROM tags
GROUP BY decision, modality
ORDER BY decision, modality;""",
    "The ten least certain": """\
SELECT product_id, category, confidence, status, decision
FROM tags
WHERE confidence IS NOT NULL
ORDER BY confidence, product_id
LIMIT 10;""",
}


def main(arguments: Sequence[str] | None = None, prog: str = "show_tags.py") -> None:
    """Print each query of `QUERIES` and its result. `arguments` defaults to those of the command line."""
    parser = cli.ArgumentParser(prog=prog, description="Show what is in the current snapshot.")
    parser.add_argument("--output", required=True, help="the output.path of the job that published the table")
    parser.add_argument("--config", metavar="FILE", help="YAML file of that job, for its section s3")
    options = parser.parse_args(arguments)
    if options.config:
        s3_store.use(config.load(JobConfig, options.config).s3)
    view = Location(options.output, f"{TAGS}/current.sql")
    if is_local(options.output):
        sys.stdout.write(f"The view `tags` of the current snapshot: duckdb -init {shlex.quote(str(view))}\n")
    for heading, sql in QUERIES.items():
        columns, rows = _query(view, sql)
        sys.stdout.write(f"\n{heading}\n\n{sql}\n\n{console.table(columns, rows)}")


def _query(view: Location, sql: str) -> tuple[list[str], list[tuple[object, ...]]]:
    try:
        import duckdb
    except ImportError as error:
        raise EnvironmentUnsupportedError(
            f"Expected duckdb: install 'fashion-udf[dev]', or use another Parquet reader. Received: {error}"
        ) from error
    try:
        definition = view.store.read(view.key, _MAX_VIEW_BYTES).decode("utf-8")
    except OSError as error:
        raise InputError(
            f"Expected a published tags table in --output. Received: {error}; if there are commits, "
            "run `jobs/snapshots.py repair`"
        ) from error
    with duckdb.connect() as connection:
        connection.execute(definition)
        result = connection.execute(sql)
        return [column[0] for column in result.description], result.fetchall()
