"""Jars that the tests need and pip cannot install: .ci/jars.py GROUP prints their paths, one a line.

The groups are those of .ci/jars.lock: `hadoop` is a small Hadoop in one process, `s3a` lets Spark read and write S3.
Each jar is fetched once, by the Ivy that is part of pyspark, and is used only if its SHA-256 is that of the lock.
Without arguments it fetches every group. Where a jar cannot be had, one line on stderr says why, with exit code 1.

Environment: XDG_CACHE_HOME, where jars are kept (default: ~/.cache); IVY_SETTINGS, an ivysettings.xml for networks
where Maven Central is reached by a mirror; JAVA_HOME.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

LOCK = Path(__file__).with_suffix(".lock")
#: No test waits longer for a network.
SECONDS = 180


class Jar(NamedTuple):
    """One line of the lock."""

    group: str
    organisation: str
    name: str
    version: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where the jar is kept: outside the checkout, by its digest, so that no version hides another."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cache / "fashion-udf" / "jars" / self.sha256[:16] / f"{self.name}-{self.version}.jar"

    def is_whole(self, path: Path) -> bool:
        """Whether a file is the one that the lock names."""
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256


def locked(group: str | None = None) -> list[Jar]:
    """Return the jars of a group, or of every group, in the order of the lock."""
    lines = [line.split() for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    jars = [Jar(kind, *coordinates.split(":"), sha256) for kind, coordinates, sha256 in lines]
    return [jar for jar in jars if group in (None, jar.group)]


def fetch(jars: list[Jar], folder: Path) -> None:
    """Let Ivy fetch exactly these jars, with nothing that they depend on, into a folder.

    Raises:
        SystemExit: A jar could not be had, with Ivy's own words.
    """
    wanted = "".join(
        f'<dependency org="{jar.organisation}" name="{jar.name}" rev="{jar.version}" transitive="false"/>\n'
        for jar in jars
    )
    (folder / "ivy.xml").write_text(
        '<ivy-module version="2.0"><info organisation="fashion" module="jars"/>'
        '<configurations><conf name="default"/></configurations>'
        f'<dependencies defaultconf="default->master">\n{wanted}</dependencies></ivy-module>'
    )
    found = importlib.util.find_spec("pyspark")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("Expected pyspark in this environment. Received: none. Run: make env")
    (ivy,) = (Path(found.submodule_search_locations[0]) / "jars").glob("ivy-*.jar")
    settings = os.environ.get("IVY_SETTINGS")
    command = [
        *(str(Path(os.environ["JAVA_HOME"]) / "bin" / "java") if "JAVA_HOME" in os.environ else "java", "-jar"),
        *(str(ivy), "-warn", "-cache", str(folder / "cache"), "-ivy", str(folder / "ivy.xml")),
        *(("-settings", settings) if settings else ()),
        *("-retrieve", str(folder / "[artifact]-[revision].[ext]")),
    ]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise SystemExit(f"Expected {len(jars)} jars from Maven Central. Received: {problem}.") from None
    missing = [jar for jar in jars if not (folder / jar.path.name).is_file()]
    if missing:
        said = [line.strip() for line in (result.stdout + result.stderr).splitlines() if line.strip(": \t=-")]
        said = [line for line in said if not line.startswith(":")]
        raise SystemExit(
            f"Expected {len(jars)} jars from Maven Central (or from the mirror of IVY_SETTINGS). Received: no"
            f" {missing[0].path.name}, and {len(missing) - 1} others ({said[0] if said else result.returncode})."
        )


def provide(group: str | None = None) -> list[Path]:
    """Return where the jars of a group lie, fetched if need be.

    Raises:
        SystemExit: A jar could not be had, or is not the one of the lock.
    """
    jars = locked(group)
    if not jars:
        raise SystemExit(
            f"Expected a group of {LOCK.name}: {sorted({jar.group for jar in locked()})}. Received: {group}."
        )
    lacking = [jar for jar in jars if not jar.is_whole(jar.path)]
    if lacking:
        with tempfile.TemporaryDirectory(prefix="jars-") as name:
            folder = Path(name)
            fetch(lacking, folder)
            for jar in lacking:
                fetched = folder / jar.path.name
                if not jar.is_whole(fetched):
                    got = hashlib.sha256(fetched.read_bytes()).hexdigest()
                    raise SystemExit(f"Expected SHA-256 {jar.sha256} of {fetched.name}. Received: {got}.")
                jar.path.parent.mkdir(parents=True, exist_ok=True)
                # Under another name first: two runs may fetch at the same time.
                part = jar.path.with_name(f"{jar.path.name}.{os.getpid()}")
                part.write_bytes(fetched.read_bytes())
                part.replace(jar.path)
    return [jar.path for jar in jars]


if __name__ == "__main__":
    for name in sys.argv[1:] or [None]:
        sys.stdout.writelines(f"{path}\n" for path in provide(name))
