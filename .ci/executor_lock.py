"""Print the part of requirements.lock that an executor needs: what a built wheel and its extras need there.

Usage: python .ci/executor_lock.py dist/fashion_udf-0.1.0-py3-none-any.whl requirements.lock
"""

from __future__ import annotations

import re
import sys
import zipfile
from email.parser import HeaderParser
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

#: Executors score with the one, and search similar products with the other.
EXTRAS = {"openvino", "similar"}


def read_wheel_requirements(wheel: Path) -> list[str]:
    """Returns the Requires-Dist lines of a wheel's METADATA.

    Raises:
        ValueError: The archive holds no METADATA.
    """
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".dist-info/METADATA"):
                return HeaderParser().parsestr(archive.read(name).decode()).get_all("Requires-Dist", [])
    raise ValueError(f"Expected a wheel with METADATA. Received: {wheel}.")


def select_names(requirements: list[str], extras: set[str]) -> dict[str, set[str]]:
    """Returns the canonical names (with their extras) of those requirements whose marker holds here."""
    names: dict[str, set[str]] = {}
    for requirement in map(Requirement, requirements):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            names.setdefault(canonicalize_name(requirement.name), set()).update(requirement.extras)
    return names


def close_over(requirements: list[str], extras: set[str]) -> set[str]:
    """Returns the names of the requirements and of all they need, as installed in the running environment."""
    pending, closed = select_names(requirements, extras), set[str]()
    while pending:
        name, name_extras = pending.popitem()
        if name not in closed:
            closed.add(name)
            pending.update(select_names(requires(name) or [], name_extras))
    return closed


def split_lock(text: str) -> dict[str, str]:
    """Returns the lock's block (pin, hashes, comments) of each canonical name."""
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    return {canonicalize_name(block.split("==")[0]): block for block in blocks}


def main(wheel: str, lock: str) -> None:
    """Writes the selected blocks to standard output; a name that the lock lacks raises KeyError."""
    blocks = split_lock(Path(lock).read_text(encoding="utf-8"))
    for name in sorted(close_over(read_wheel_requirements(Path(wheel)), EXTRAS)):
        sys.stdout.write(blocks[name])


if __name__ == "__main__":
    main(*sys.argv[1:])
