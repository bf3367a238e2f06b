"""Show the current snapshot, with the DuckDB queries, ready to copy.

.venv/bin/python jobs/show_tags.py --output DIR
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fashion_udf import cli, console
from fashion_udf.commands import job_options
from fashion_udf.errors import EnvironmentUnsupportedError, InputError
from fashion_udf.table.paths import TAGS, Location
from fashion_udf.table.store import is_local
from fashion_udf.table.tags_table import TagsTable

if TYPE_CHECKING:
    import duckdb

VIEW = f"{TAGS}/current.sql"
_MAX_VIEW_BYTES = 100_000
#: What the queries read.
COLUMNS = ("product_id", "category", "confidence", "status", "decision", "modality")
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
    job_options.add(parser)
    options = parser.parse_args(arguments)
    job_options.use_s3(options)
    if is_local(options.output):
        view = shlex.quote(str(Location(options.output, VIEW)))
        sys.stdout.write(f"The view `tags` of the current snapshot: duckdb -init {view}\n")
    with _tags(options.output) as connection:
        for heading, sql in QUERIES.items():
            result = connection.execute(sql)
            columns = [column[0] for column in result.description]
            sys.stdout.write(f"\n{heading}\n\n{sql}\n\n{console.table(columns, result.fetchall())}")


def _tags(output: str) -> duckdb.DuckDBPyConnection:
    """Return a connection in which `tags` is the current snapshot."""
    try:
        import duckdb
    except ImportError as error:
        raise EnvironmentUnsupportedError(
            f"Expected duckdb: install 'fashion-udf[dev]', or use another Parquet reader. Received: {error}"
        ) from error
    view = Location(output, VIEW)
    try:
        definition = view.store.read(view.key, _MAX_VIEW_BYTES).decode("utf-8")
    except OSError as error:
        raise InputError(
            f"Expected a published tags table in --output. Received: {error}; if there are commits, "
            "run `jobs/snapshots.py repair`"
        ) from error
    connection = duckdb.connect()
    if is_local(output):
        connection.execute(definition)
    else:  # DuckDB would download an extension, which would not know where the S3 of the configuration is
        connection.register("tags", TagsTable(output).to_pandas(COLUMNS))
    return connection
