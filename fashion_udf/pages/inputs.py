"""The inputs of a run: model, versions and configuration by dotted key, and their differences from the previous run."""

from __future__ import annotations

import importlib.metadata
import platform
import re
from collections.abc import Iterator, Mapping
from typing import Any

import fashion_udf
from fashion_udf.config import JobConfig
from fashion_udf.pages.figures import Difference

#: Packages that results may depend on.
PACKAGES = ("pyspark", "pyarrow", "numpy", "pandas", "pillow", "openvino", "tensorflow", "tokenizers")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def told(config: JobConfig, metrics: Mapping[str, Any]) -> dict[str, str]:
    """Return the inputs of a run by name, without users and passwords in URIs."""
    found = {
        "model_version": metrics.get("model_version"),
        "engine used": metrics.get("engine"),
        "precision used": metrics.get("precision"),
        "fashion-udf": fashion_udf.__version__,
        "python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
        **dict(_flat("config", config.model_dump(mode="json"))),
    }
    return {name: _CREDENTIALS.sub("", str(value)) for name, value in found.items() if value is not None}


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[Difference]:
    """Return the inputs that differ. An input that only one run has is "none" in the other.

    A failed run does not know its model. Such unknown inputs are left out.
    """
    unknown = {"model_version", "engine used", "precision used"} - (before.keys() & now.keys())
    names = [name for name in {**now, **before} if name not in unknown and before.get(name) != now.get(name)]
    return [Difference(name, before.get(name, "none"), now.get(name, "none")) for name in names]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _flat(prefix: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _flat(f"{prefix}.{name}", part)
    else:
        yield prefix, "null" if value is None else value
