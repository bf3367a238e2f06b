"""PyTorch weights read as data: every tensor is there, and nothing that the file says is done."""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fashion_udf.errors import InputError
from training.data import torch_tensors

MAGIC, PROTOCOL, SYSTEM = 0x1950A86A20F9469CFC6C, 1001, {"little_endian": True, "type_sizes": {"int": 4}}


class _Storage:
    def __init__(self, key: str, kind: type, size: int) -> None:
        self.key, self.kind, self.size = key, kind, size


class _Tensor:
    """Pickled as torch 1.5 does: a call of `_rebuild_tensor_v2`."""

    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.arguments = (storage, offset, shape, strides, False, {})

    def __reduce__(self) -> Any:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return ("storage", obj.kind, obj.key, "cpu", obj.size, None) if isinstance(obj, _Storage) else None


@pytest.fixture(autouse=True)
def torch(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The names that a PyTorch file refers to, without PyTorch."""

    def _rebuild_tensor_v2(*arguments: Any) -> None:
        raise AssertionError("called")

    module, utils = ModuleType("torch"), ModuleType("torch._utils")
    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    for name in ("FloatStorage", "LongStorage", "HalfStorage"):
        setattr(module, name, type(name, (), {"__module__": "torch"}))
    monkeypatch.setitem(sys.modules, "torch", module)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return module


def _file(path: Path, tensors: Any, storages: dict[str, NDArray[Any]], system: Any = SYSTEM) -> Path:
    file = io.BytesIO()
    for value in (MAGIC, PROTOCOL, system, tensors, list(storages)):
        _Pickler(file, protocol=2).dump(value)
    for values in storages.values():
        file.write(struct.pack("<q", len(values)) + values.tobytes())
    path.write_bytes(file.getvalue())
    return path


def _tensor(torch: Any, values: NDArray[Any], key: str = "1", kind: str = "FloatStorage") -> _Tensor:
    strides = tuple(stride // values.itemsize for stride in values.strides)
    return _Tensor(_Storage(key, getattr(torch, kind), values.size), 0, values.shape, strides)


def test_tensors_have_their_names_shapes_and_values(tmp_path: Path, torch: ModuleType) -> None:
    weights = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    steps = np.asarray([7], np.int64)
    tensors = {"a.weight": _tensor(torch, weights), "a.steps": _tensor(torch, steps, "2", "LongStorage")}
    found = torch_tensors.read(_file(tmp_path / "a.pth", tensors, {"1": weights.ravel(), "2": steps}))
    assert [*found] == ["a.weight", "a.steps"]
    np.testing.assert_array_equal(found["a.weight"], weights)
    assert found["a.steps"].tolist() == [7]


def test_a_tensor_may_be_laid_out_in_another_order_and_share_its_storage(tmp_path: Path, torch: ModuleType) -> None:
    values = np.arange(6, dtype=np.float32)
    storage = _Storage("1", torch.FloatStorage, 6)
    tensors = {"turned": _Tensor(storage, 0, (3, 2), (1, 3)), "part": _Tensor(storage, 4, (2,), (1,))}
    found = torch_tensors.read(_file(tmp_path / "a.pth", tensors, {"1": values}))
    np.testing.assert_array_equal(found["turned"], values.reshape(2, 3).T)
    assert found["part"].tolist() == [4, 5]


class _Harm:
    def __reduce__(self) -> Any:
        return os.mkdir, ("harmed",)


def test_code_in_the_file_is_refused_and_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="Received: ValueError: a reference to posix mkdir"):
        torch_tensors.read(_file(tmp_path / "a.pth", {"a": _Harm()}, {}))
    with pytest.raises(InputError, match="a reference to posix mkdir"):
        torch_tensors.read(_file(tmp_path / "a.pth", {}, {}, system=_Harm()))
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(0, (7,), (1,)), (5, (2,), (1,)), (0, (2,), (9,)), (0, (2,), (-1,)), (-1, (1,), (1,)), (0, (10**9,), (0,))],
)
def test_a_tensor_beyond_its_storage_is_refused(
    tmp_path: Path, torch: ModuleType, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    tensor = _Tensor(_Storage("1", torch.FloatStorage, 6), offset, shape, strides)
    with pytest.raises(InputError, match="a tensor of shape"):
        torch_tensors.read(_file(tmp_path / "a.pth", {"a": tensor}, {"1": np.zeros(6, np.float32)}))


def test_another_kind_of_number_is_refused(tmp_path: Path, torch: ModuleType) -> None:
    values = np.zeros(2, np.float16)
    tensor = _tensor(torch, values, kind="HalfStorage")
    with pytest.raises(InputError, match="a reference to torch HalfStorage"):
        torch_tensors.read(_file(tmp_path / "a.pth", {"a": tensor}, {"1": values}))


def test_a_file_that_is_cut_or_something_else_is_refused(tmp_path: Path, torch: ModuleType) -> None:
    values = np.ones(100, np.float32)
    whole = _file(tmp_path / "a.pth", {"a": _tensor(torch, values)}, {"1": values}).read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "cut.pth").write_bytes(whole[:length])
        with pytest.raises(
            InputError, match="Expected .*cut.pth to hold PyTorch tensors of float32 and int64. Received"
        ):
            torch_tensors.read(tmp_path / "cut.pth")
    (tmp_path / "zip.pth").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(InputError, match="Received: "):
        torch_tensors.read(tmp_path / "zip.pth")
    with pytest.raises(InputError, match="No such file"):
        torch_tensors.read(tmp_path / "nowhere.pth")
