"""Point a table of a metastore (`publish.table`) to the directory of a snapshot, for readers who use a table's name.

The commit is already published, so that a failure here is only a warning. A query that was planned before keeps the old
directory. An open session sees the new one after `REFRESH TABLE`, because Spark caches the files of a table.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from fashion_udf.config import SPARK_PATTERN
from fashion_udf.errors import ConfigError
from fashion_udf.schema import TAGS, to_spark
from fashion_udf.table.store import root_uri

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)


def point_to(spark: SparkSession, table: str, directory: Path | str) -> bool:
    """Point an external Parquet table to a snapshot's directory. The table is created if it does not exist.

    Args:
        spark: a session whose catalog holds the table.
        table: `name`, `database.name` or `catalog.database.name`. The database must exist.
        directory: directory of the snapshot, an absolute path or a URI.

    Returns:
        Whether the table shows the snapshot. A failure is logged with the statement to run by hand. It is not raised,
        because the snapshot is already published.

    Raises:
        ConfigError: `table` is not a name.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    name = quoted_name(table)
    location = f"file:{directory}" if isinstance(directory, Path) else root_uri(directory)
    statement = f"ALTER TABLE {name} SET LOCATION {quoted_text(location)}"
    try:
        if problem := _problem(spark, name, location):
            logger.warning("the snapshot is published, but %s was not moved to it: %s", name, problem)
            return False
        if spark.catalog.tableExists(name):
            spark.sql(statement)
            _add_columns(spark, name)
        else:
            spark.catalog.createTable(name, path=location, source="parquet", schema=to_spark(TAGS))
        spark.sql(f"REFRESH TABLE {name}")
    except (Py4JError, PySparkException) as error:
        reason = " ".join(str(error).split())[:300]
        logger.warning("the snapshot is published, but %s stays behind (%s): run `%s`", name, reason, statement)
        return False
    return True


def shown_directory(spark: SparkSession, table: str) -> Path | str | None:
    """Return the directory or URI of a table in the session's catalog; None if it does not exist or is unknown.

    Raises:
        ConfigError: `table` is not a name.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    name = quoted_name(table)
    try:
        if not spark.catalog.tableExists(name):
            return None
        location = _facts(spark, name).get("Location")
    except (Py4JError, PySparkException):
        return None
    if not location or not location.startswith("file:"):
        return location
    path = Path(re.sub("^file:/*", "/", location))
    # Releases of Spark differ in whether this URI is escaped.
    return path if path.exists() else Path(unquote(str(path)))


def quoted_name(table: str) -> str:
    """Return a table's name as a Spark SQL identifier, each part in backticks.

    Raises:
        ConfigError: the name has more than three parts, or an empty or unprintable part.
    """
    parts = table.split(".")
    if len(parts) > 3 or not all(part.strip() and part.isprintable() for part in parts):
        raise ConfigError(
            f"Expected publish.table as name, database.name or catalog.database.name. Received: {table!r}"
        )
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)


def quoted_text(text: str) -> str:
    """Return a Spark SQL string literal, for the default `spark.sql.parser.escapedStringLiterals=false`."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _add_columns(spark: SparkSession, name: str) -> None:
    """Add the columns that a table of an older release lacks. Their order does not matter: they are read by name."""
    held = set(spark.table(name).columns)
    if missing := [field for field in to_spark(TAGS).fields if field.name not in held]:
        columns = ", ".join(f"`{field.name}` {field.dataType.simpleString()}" for field in missing)
        spark.sql(f"ALTER TABLE {name} ADD COLUMNS ({columns})")


def _facts(spark: SparkSession, name: str) -> dict[str, str]:
    """Return Spark's description of a table, by name, with its columns."""
    described = spark.sql(f"DESCRIBE TABLE EXTENDED {name}").collect()
    return {row["col_name"]: row["data_type"] for row in described}


def _problem(spark: SparkSession, name: str, location: str) -> str | None:
    """Return why an existing table, which may belong to somebody else, must not be changed; None if it may."""
    if SPARK_PATTERN.search(location):
        return f"Spark would read {location} as a pattern; choose another output.path"
    if not spark.catalog.tableExists(name):
        return None
    facts = _facts(spark, name)
    kind, provider = facts.get("Type"), str(facts.get("Provider")).lower()
    if kind != "EXTERNAL" or provider != "parquet":
        return f"it is {kind} and {provider}, not an external Parquet table; name another one in publish.table"
    return None
