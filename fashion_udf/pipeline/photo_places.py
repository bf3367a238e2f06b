"""Count where the photos of a catalog are, by scheme and host, and report which of them are not read."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fashion_udf.config import JobConfig
from fashion_udf.photos.photo import Remote

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

logger = logging.getLogger(__name__)

#: Maximum of pairs of scheme and host that are counted.
MOST_PLACES = 1000

_LOCAL = ("", "file")
_S3 = ("s3", "s3a")
_WEB = ("http", "https")


@dataclass(frozen=True)
class PhotoPlaces:
    """Where the photos of a catalog are.

    Attributes:
        counts: rows by scheme and host. A path has the scheme "". Only a URL has a host, with its port if it has one.
    """

    counts: Mapping[tuple[str, str], int]

    @property
    def in_files(self) -> bool:
        """Return whether a row names a local file."""
        return any(scheme in _LOCAL for scheme, _ in self.counts)

    @property
    def in_s3(self) -> bool:
        """Return whether a row names an object in S3."""
        return any(scheme in _S3 for scheme, _ in self.counts)

    def not_read(self, image_hosts: tuple[str, ...]) -> list[str]:
        """Return and log a line for photos of hosts that are not allowed, and a line for unknown schemes."""
        from fashion_udf.photos.hosts import is_allowed  # and with it urllib3

        hosts, schemes = Counter[str](), Counter[str]()
        for (scheme, host), rows in self.counts.items():
            if scheme in _WEB:
                name, _, port = host.partition(":")
                if not is_allowed(name, int(port) if port.isdigit() else None, image_hosts):
                    hosts[host] += rows
            elif scheme not in (*_LOCAL, *_S3, "data"):
                schemes[scheme] += rows
        notes = [
            f"{counts.total()} photos become image_forbidden, because {what}: "
            f"{', '.join(f'{name} ({rows})' for name, rows in counts.most_common(3))}"
            for what, counts in (("input.image_hosts lacks their host", hosts), ("their scheme is not read", schemes))
            if counts
        ]
        for note in notes:
            logger.warning("%s", note)
        return notes


def found(rows: DataFrame) -> PhotoPlaces:
    """Return where the photos of `columns.read` are. A catalog with the bytes of its photos has no places."""
    from pyspark.sql import functions as F

    if "image_uri" not in rows.columns:
        return PhotoPlaces({})
    uri = F.col("image_uri")
    scheme = F.lower(F.regexp_extract(uri, "^([A-Za-z][A-Za-z0-9+.-]*):", 1))
    host = F.lower(F.regexp_extract(uri, "^[A-Za-z]+://(?:[^/?#]*@)?([^/?#]*)", 1))  # without user and password
    named = rows.where(uri.isNotNull()).select(
        scheme.alias("scheme"), F.when(scheme.isin(*_WEB), host).otherwise("").alias("host")
    )
    counted = named.groupBy("scheme", "host").count().orderBy(F.col("count").desc(), "scheme", "host")
    return PhotoPlaces({(row[0], row[1]): row[2] for row in counted.limit(MOST_PLACES).collect()})


def remote(config: JobConfig, tasks: int) -> Remote:
    """Return the settings to fetch remote photos. `tasks` share the requests to a host."""
    return Remote(
        hosts=config.input.image_hosts,
        private_hosts=config.input.private_image_hosts,
        s3=config.s3,
        seconds=config.limits.image_timeout,
        requests_per_second=config.limits.requests_per_second / tasks,
        max_refused=config.gates.max_refused,
    )
