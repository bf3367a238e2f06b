"""Read the tensors of a PyTorch weights file, without PyTorch and without running code of the file.

A `.pth` file is a pickle: a program that may call anything. This module only interprets its instructions, and accepts
only those that describe a dict of tensors.

    magic number, protocol, system info   a pickle each
    tensors                               a pickle: name -> (storage key, offset, shape, strides)
    keys of the storages                  a pickle: in the order of the storages
    for each: number of elements (int64), then the values, little endian

The format is that of `torch.save(..., _use_new_zipfile_serialization=False)`, the only one before PyTorch 1.6.
"""

from __future__ import annotations

import math
import pickletools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fashion_udf.errors import InputError

_MAGIC = 0x1950A86A20F9469CFC6C
#: Accepted types of storage -> dtype.
_STORAGES = {"torch FloatStorage": "<f4", "torch LongStorage": "<i8"}
_GLOBALS = ("collections OrderedDict", "torch._utils _rebuild_tensor_v2", *_STORAGES)
_MAX_BYTES = 1 << 30  # of a tensor: a damaged file must not use any amount of memory
_MARK = object()


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read(path: Path) -> dict[str, NDArray[Any]]:
    """Return every tensor of the file by its name.

    Raises:
        InputError: the file has another format, or holds anything else than tensors of float32 and int64.
    """
    try:
        with path.open("rb") as file:
            if _load(file) != _MAGIC:
                raise ValueError("another magic number")
            _load(file)
            if _load(file)["little_endian"] is not True:
                raise ValueError("big endian numbers")
            tensors, keys = _load(file), _load(file)
            dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
            storages = {key: _values(file, dtypes[key]) for key in keys}
            return {name: _array(tensor, storages) for name, tensor in tensors.items()}
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error) as error:
        raise InputError(
            f"Expected {path} to hold PyTorch tensors of float32 and int64. Received: {type(error).__name__}: {error}"
        ) from error


def _values(file: IO[bytes], dtype: str) -> NDArray[Any]:
    (count,) = struct.unpack("<q", file.read(8))
    size = count * np.dtype(dtype).itemsize
    data = file.read(size) if 0 <= size <= _MAX_BYTES else b""
    if len(data) != size:
        raise ValueError(f"a storage of {count} numbers, and {len(data)} bytes of it")
    return np.frombuffer(data, dtype)


def _array(tensor: _Tensor, storages: dict[str, NDArray[Any]]) -> NDArray[Any]:
    values = storages[tensor.storage.key][tensor.offset :]
    size = math.prod(tensor.shape)  # strides of 0 could make a large tensor from a small storage
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    if min((*tensor.shape, *tensor.strides, tensor.offset), default=0) < 0 or max(last + 1, size) > len(values):
        raise ValueError(f"a tensor of shape {tensor.shape} and strides {tensor.strides} in {len(values)} numbers")
    steps = [stride * values.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(values, tensor.shape, steps, writeable=False).copy()


def _load(file: IO[bytes]) -> Any:
    """Interpret the instructions of one pickle. All instructions that are not listed here are refused."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    argument: Any
    for opcode, argument, _ in pickletools.genops(file):
        name = opcode.name
        if name == "STOP":
            return stack.pop()
        if name in _PUSHED:
            stack.append(_PUSHED[name]())
        elif name.startswith(("BININT", "LONG1", "BINUNICODE", "BINFLOAT")):
            stack.append(argument)
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "GLOBAL":
            if argument not in _GLOBALS:
                raise ValueError(f"a reference to {argument}")
            stack.append(_Global(argument))
        elif name != "PROTO":
            _apply(name, stack)
    raise ValueError("no end")


#: Instructions that push a constant.
_PUSHED: dict[str, Any] = {
    "MARK": lambda: _MARK,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}


def _since_mark(stack: list[Any]) -> list[Any]:
    items: list[Any] = []
    while (item := stack.pop()) is not _MARK:
        items.append(item)
    return items[::-1]


def _pairs(items: list[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(items[::2], items[1::2], strict=True)


def _apply(name: str, stack: list[Any]) -> None:
    """Apply an instruction that pops from the stack."""
    if name == "TUPLE":
        stack.append(tuple(_since_mark(stack)))
    elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
        count = int(name[-1])
        items = stack[-count:]
        stack[-count:] = [tuple(items)]
    elif name == "SETITEMS":
        items = _since_mark(stack)
        stack[-1].update(_pairs(items))
    elif name == "SETITEM":
        value, key = stack.pop(), stack.pop()
        stack[-1][key] = value
    elif name == "APPENDS":
        items = _since_mark(stack)
        stack[-1].extend(items)
    elif name == "APPEND":
        item = stack.pop()
        stack[-1].append(item)
    elif name == "BINPERSID":
        kind, storage, key, _, _, view = stack.pop()
        if kind != "storage" or view is not None or storage.name not in _STORAGES:
            raise ValueError(f"a {kind} of {storage}")
        stack.append(_Storage(key, _STORAGES[storage.name]))
    elif name == "REDUCE":
        arguments, function = stack.pop(), stack.pop()
        stack.append(_called(function, arguments))
    elif name == "BUILD":
        stack.pop()  # attributes of the dict, such as its version, are not needed
    else:
        raise ValueError(f"the instruction {name}")


def _called(function: Any, arguments: tuple[Any, ...]) -> Any:
    """Return the result of one of the two known calls, without calling anything."""
    if function == _Global("collections OrderedDict") and not arguments:
        return {}
    if function == _Global("torch._utils _rebuild_tensor_v2"):
        storage, offset, shape, strides, *_ = arguments
        if isinstance(storage, _Storage):
            return _Tensor(storage, int(offset), tuple(shape), tuple(strides))
    raise ValueError(f"a call of {function}")
