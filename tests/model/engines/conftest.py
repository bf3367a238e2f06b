"""The bundle of the engine tests: the small model where Keras can build it, the built-in bundle elsewhere.

So openvino is tested in `.venv` at the versions that score, and both engines in `.venv-training`.
"""

from __future__ import annotations

import dataclasses
import importlib.util

import pytest

from fashion_udf.model import bundle
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import registry

INSTALLED = [name for name in sorted(registry.ENGINES) if importlib.util.find_spec(name)]


@pytest.fixture(scope="session")
def model() -> Bundle:
    """Return a bundle that offers f32 alone and states nothing of other precisions."""
    if "tensorflow" in INSTALLED:
        from tests import tiny_model

        return bundle.read(str(tiny_model.directory()))
    builtin = bundle.read("builtin")
    facts = builtin.manifest
    parity = {name: found for name, found in facts.parity.items() if name.endswith(" f32")}
    plain = facts.model_copy(update={"engines": {name: ["f32"] for name in facts.engines}, "parity": parity})
    return dataclasses.replace(builtin, manifest=plain)


@pytest.fixture(scope="session", params=INSTALLED)
def engine(request: pytest.FixtureRequest) -> str:
    """Return the name of each engine that is installed."""
    return str(request.param)
