"""SQL for DuckDB: the files of a snapshot, and the view of similar products in `similar/current.sql`."""

from __future__ import annotations

import re
from pathlib import Path

from fashion_udf.table.commit import MadeFrom


def similar(directory: Path | str, made_from: MadeFrom) -> str:
    """Return SQL of the view `similar_products`: one row for each pair, with `position` 1 for the best.

    The view reads the log of tags at each query. It is empty while the current tags have another model than the lists.
    `tags_behind` is the number of tags commits since the one that the lists were made from.
    """
    log = _quoted(_literal(str(directory).rsplit("/", 3)[0]) + "/tags/log/[0-9]*.json")
    read_log = f"read_json({log}, columns = {{number: 'BIGINT', model_version: 'VARCHAR'}})"
    return (
        "CREATE OR REPLACE VIEW similar_products AS\n"
        "SELECT product_id, pair.similar_id, pair.score, pair.same_category, position,\n"
        f"  lists.model_version, newest.number - {made_from.tags} AS tags_behind\n"
        'FROM (SELECT product_id, model_version, unnest("similar") AS pair,\n'
        f'  generate_subscripts("similar", 1) AS position FROM {parquet(directory)}) AS lists\n'
        f"JOIN (SELECT max(number) AS number, arg_max(model_version, number) AS model_version FROM {read_log})\n"
        "  AS newest ON newest.model_version = lists.model_version;\n"
    )


def parquet(directory: Path | str) -> str:
    """Return SQL that reads the files of a directory with any path."""
    # Without this option, a parent directory such as env=prod would become a column.
    return f"read_parquet({_quoted(_literal(str(directory)) + '/*.parquet')}, hive_partitioning = false)"


def _literal(path: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", path)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
