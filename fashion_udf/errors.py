"""The exceptions that this project raises on purpose, and the exit code of each.

    FashionError                 exit 1: any other failure
    ├── InputError               exit 2: bad arguments, config or input; nothing was published
    │   ├── ConfigError          an unknown key, a wrong type, an unknown name
    │   ├── CatalogError         a missing column, null or repeated ids, an unreadable source
    │   ├── BundleError          a missing, altered or malformed model bundle
    │   └── EnvironmentUnsupportedError   a Spark, Python or library version outside the supported range
    ├── GateRefusedError         exit 3: an audit gate refused the table; the previous table stays published
    ├── CommitConflictError      exit 4: another run published first
    ├── CommitUnknownError       exit 1: it is unknown whether the store accepted the commit
    ├── CredentialsError         exit 1: credentials are missing, expired or refused
    ├── StoreUnavailableError    exit 1: the store has failed for minutes, for every caller
    ├── OutOfMemoryError         exit 1: the run needed more memory than Spark or the machine has
    ├── DiskFullError            exit 1: the disk of the output or of Spark's temporary files is full
    ├── SnapshotError            exit 1: the snapshot log or its files are damaged
    └── EngineError              exit 1: the engine failed, or gave wrong results for its golden rows on this host

    Stopped                      exit 143: a signal ended the process; this is no failure, so no FashionError

A message is one line: what was expected, then "Received: ...", then what to do. A bad row is never an exception. It
has a status in the output table (`fashion_udf.schema.Status`).
"""

from __future__ import annotations

from collections.abc import Iterator

_LINE = 1000  # maximum of characters of another library's error in one line


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
    """It is unknown whether the store accepted the commit."""


class CredentialsError(FashionError):
    """Credentials for a store are missing, expired or refused."""


class StoreUnavailableError(FashionError):
    """A store failed for minutes, for every caller."""


class OutOfMemoryError(FashionError):
    """The run needed more memory than Spark or the machine has."""


class DiskFullError(FashionError):
    """The disk of the output, or of Spark's temporary files, is full."""


class SnapshotError(FashionError):
    """The snapshot log or a file it names is missing or damaged."""


class EngineError(FashionError):
    """The engine could not start, or gave wrong results for its golden rows on this host."""


class Stopped(SystemExit):
    """A signal ended the process, such as a scheduler's SIGTERM. The next run continues where this one stopped.

    It is no `Exception`, so that code which catches every failure of a step does not catch it.
    """

    exit_code = 143  # 128 + SIGTERM, as in a shell

    def __init__(self, by: str) -> None:
        super().__init__(self.exit_code)
        self._by = by

    def __str__(self) -> str:
        return f"stopped by {self._by}; what is done is kept: run again"


def one_line(error: BaseException) -> str:
    """Return an error as one line. For an error of another library, the type is added and stack frames are removed."""
    if isinstance(error, (FashionError, Stopped)):
        return str(error)
    text = ""
    try:
        # The first line of a Py4JJavaError names a call of py4j. The Java exception says what happened.
        text = str(getattr(error, "java_exception", error))
    except Exception:  # the JVM is gone
        text = str(error.args)
    # Stack frames of Java and Python are indented.
    lines = [line.rstrip() for line in text.strip().splitlines() if line.strip() and not line[0].isspace()]
    said = " | ".join(line for line in lines if not line.startswith("Traceback "))
    return f"{type(error).__name__}: {said[:_LINE]}".strip()


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and the chain of its causes, as a traceback shows them."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        yield found
        seen.add(id(found))
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
