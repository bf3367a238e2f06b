"""Every exception this project raises on purpose, and the exit code a job ends with.

    FashionError                 exit 1: anything else
    ├── InputError               exit 2: bad arguments, config or input; nothing was published
    │   ├── ConfigError          an unknown key, a wrong type, an unknown name
    │   ├── CatalogError         a missing column, null or repeated ids, an unreadable source
    │   ├── BundleError          a missing, altered or malformed model bundle
    │   └── EnvironmentUnsupportedError   a Spark, Python or library version outside the supported range
    ├── GateRefusedError         exit 3: an audit gate refused the table; yesterday's stays published
    ├── CommitConflictError      exit 4: another run published first
    ├── CommitUnknownError       exit 1: the store did not say whether the commit landed
    ├── OutOfMemoryError         exit 1: the run needed more memory than Spark, or the machine, has
    ├── SnapshotError            exit 1: the snapshot log or its files are damaged
    └── EngineError              exit 1: the model engine failed, or failed its golden rows on this host

Messages are one line: what was expected, then "Received: ...", then what to do. A bad row is never an exception: it
is a status in the output table (`fashion_udf.schema.Status`).
"""

from __future__ import annotations


class FashionError(Exception):
    """Base of every error raised on purpose."""

    exit_code = 1


class InputError(FashionError):
    """The arguments, the configuration or the input cannot be used."""

    exit_code = 2


class ConfigError(InputError):
    """The configuration has an unknown key, a wrong type or an unknown name."""


class CatalogError(InputError):
    """The catalog lacks a column, holds too many rejected ids, or cannot be read."""


class BundleError(InputError):
    """The model bundle is missing, altered or malformed."""


class EnvironmentUnsupportedError(InputError):
    """This Spark, Python or library version is outside the supported range."""


class GateRefusedError(FashionError):
    """An audit gate refused to publish the table."""

    exit_code = 3


class CommitConflictError(FashionError):
    """Another run published the next commit first."""

    exit_code = 4


class CommitUnknownError(FashionError):
    """The store failed in a way that leaves open whether the commit landed."""


class OutOfMemoryError(FashionError):
    """The run died because it needed more memory than Spark, or the machine, has."""


class SnapshotError(FashionError):
    """The snapshot log or a file it names is missing or damaged."""


class EngineError(FashionError):
    """The model engine could not start, or failed its golden rows on this host."""
