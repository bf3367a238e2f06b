"""One step gives the same weights in one process, on two mirrored devices, and in two worker processes over gRPC."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.loopback import free_ports
from tests.submit import REPOSITORY


def _start(name: str, output: Path, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            sys.executable,
            str(REPOSITORY / "tests" / "training" / "fitting" / "distributed_steps.py"),
            name,
            str(output),
        ],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _finish(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        output, _ = process.communicate(timeout=500)
        assert process.returncode == 0, output.decode()[-3000:]


def _mirrored(name: str, folder: Path) -> Path:
    _finish(_start(name, folder / "mirrored.npz", LOGICAL_DEVICES="2"))
    return folder / "mirrored.npz"


def _two_workers(name: str, folder: Path) -> Path:
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    tasks = [{"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}} for index in (0, 1)]
    _finish(*[_start(name, folder / "workers.npz", TF_CONFIG=json.dumps(task)) for task in tasks])
    return folder / "workers.npz"


@pytest.fixture(scope="module", params=["sgd", "recipe"])
def one_process(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    output = tmp_path_factory.mktemp(request.param) / "one.npz"
    _finish(_start(request.param, output))
    return request.param, output


@pytest.mark.parametrize("distributed", [_mirrored, _two_workers])
def test_ten_steps_on_two_replicas_end_with_the_weights_of_one(
    one_process: tuple[str, Path], distributed: object, tmp_path: Path
) -> None:
    name, path = one_process
    expected, received = np.load(path), np.load(distributed(name, tmp_path))  # type: ignore[operator]
    assert (int(expected["replicas"]), int(received["replicas"])) == (1, 2)
    np.testing.assert_allclose(received["losses"], expected["losses"], rtol=1e-4)
    assert expected["moved"] > 5e-4
    for key in (key for key in expected.files if key.startswith("arr_")):
        np.testing.assert_allclose(received[key], expected[key], rtol=1e-4, atol=1e-6, err_msg=key)
