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
    ├── CredentialsError         exit 1: the store does not accept the credentials, or not any more
    ├── StoreUnavailableError    exit 1: the store has answered nobody for minutes
    ├── OutOfMemoryError         exit 1: the run needed more memory than Spark, or the machine, has
    ├── SnapshotError            exit 1: the snapshot log or its files are damaged
    └── EngineError              exit 1: the model engine failed, or failed its golden rows on this host

    Stopped                      exit 143: the process was told to end; no failure of ours, so no FashionError

Messages are one line: what was expected, then "Received: ...", then what to do. A bad row is never an exception: it
is a status in the output table (`fashion_udf.schema.Status`).
"""

from __future__ import annotations

from collections.abc import Iterator

_LINE = 1000  # characters of a foreign error in one line


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


class CredentialsError(FashionError):
    """There are no credentials for a store, or it does not accept them, or not any more."""


class StoreUnavailableError(FashionError):
    """A store failed again and again, whoever asked it."""


class OutOfMemoryError(FashionError):
    """The run died because it needed more memory than Spark, or the machine, has."""


class SnapshotError(FashionError):
    """The snapshot log or a file it names is missing or damaged."""


class EngineError(FashionError):
    """The model engine could not start, or failed its golden rows on this host."""


class Stopped(SystemExit):
    """The process was told to end, as a scheduler does with SIGTERM; the next run goes on where this one stopped.

    It is no `Exception`: what catches every failure of a step lets it pass.
    """

    exit_code = 143  # 128 + SIGTERM, as a shell gives

    def __init__(self, by: str) -> None:
        super().__init__(self.exit_code)
        self._by = by

    def __str__(self) -> str:
        return f"stopped by {self._by}; what is done is kept: run again"


def one_line(error: BaseException) -> str:
    """Return the text of an error in one line; a foreign one begins with its type, and loses its stack frames."""
    if isinstance(error, (FashionError, Stopped)):
        return str(error)
    text = ""
    try:
        # The first line of a Py4JJavaError names a call of py4j; Java's own message says what happened.
        text = str(getattr(error, "java_exception", error))
    except Exception:  # the JVM is gone
        text = str(error.args)
    # Stack frames of Java and Python are indented.
    lines = [line.rstrip() for line in text.strip().splitlines() if line.strip() and not line[0].isspace()]
    said = " | ".join(line for line in lines if not line.startswith("Traceback "))
    return f"{type(error).__name__}: {said[:_LINE]}".strip()


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what caused it, what caused that, and so on, as a traceback shows them."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        yield found
        seen.add(id(found))
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
