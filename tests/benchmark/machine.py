"""What the figures depend on: the machine, the versions, the commit."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

#: Instructions that decide how fast an engine is.
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
_MODULES = {"pillow": "PIL"}
_LIBRARIES = ("pyspark", "pyarrow", "pandas", "numpy", "pillow", "tensorflow", "keras", "openvino", "tokenizers")


def facts(repository: Path) -> dict[str, object]:
    """Return machine, versions and commit, for the JSON file."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    lines = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in lines.items()}
    flags = set(fields.get("flags", "").split())
    return {
        "cpu": fields.get("model name", platform.machine()),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load_average": os.getloadavg()[0],  # above 0 something else ran when the benchmark began
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in _LIBRARIES if find_spec(_MODULES.get(name, name))},
        "commit": _git(repository, "rev-parse", "HEAD"),
        "changed_files": _git(repository, "status", "--porcelain", "--untracked-files=no").splitlines(),
    }


def line(machine: dict[str, object]) -> str:
    """Return the facts a reader of the table needs, in a line."""
    changed = f" with {len(files)} changed files" if (files := machine["changed_files"]) else ""  # type: ignore[arg-type]
    flags = " ".join(machine["flags"]) or "none of its fast instructions"  # type: ignore[arg-type]
    return f"{machine['cpu']}, {machine['cores']} cores ({flags}); commit {str(machine['commit'])[:10]}{changed}"


def _git(repository: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return ""
    return done.stdout.strip()
