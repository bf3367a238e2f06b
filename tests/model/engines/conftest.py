"""The bundle of the engine tests: the tiny model where Keras can build it, a few operations of openvino elsewhere.

So openvino is tested in `.venv` at the versions that score, and both engines in `.venv-training`.
"""

from __future__ import annotations

import importlib.util

import pytest

from fashion_udf.model import bundle
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import registry
from tests import small_bundle

INSTALLED = [name for name in sorted(registry.ENGINES) if importlib.util.find_spec(name)]


@pytest.fixture(scope="session")
def model() -> Bundle:
    """Return a bundle that offers f32 alone and states nothing of other precisions."""
    if "tensorflow" in INSTALLED:
        from tests import tiny_model

        return bundle.read(str(tiny_model.directory()))
    return small_bundle.read()


@pytest.fixture(scope="session", params=INSTALLED)
def engine(request: pytest.FixtureRequest) -> str:
    """Return the name of each engine that is installed."""
    return str(request.param)


@pytest.fixture(scope="session")
def offered() -> Bundle:
    """Return a bundle that offers f32 and int8: the small model where Keras is, the built-in one elsewhere."""
    if "tensorflow" in INSTALLED:
        from tests import quantized_model

        return quantized_model.offered()
    return bundle.read("builtin")


@pytest.fixture(params=["f32", "int8"])
def precision(offered: Bundle, request: pytest.FixtureRequest) -> str:
    """Return each precision that OpenVINO has kernels of its own for, as far as the bundle offers it."""
    if request.param not in offered.manifest.engines["openvino"]:
        pytest.skip(f"the bundle does not offer {request.param}")
    return str(request.param)
