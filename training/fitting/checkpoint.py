"""Checkpoints of a training run, each complete or ignored.

    checkpoints/00001234.safetensors   every variable of model and optimizer, after 1,234 steps
    checkpoints/00001234.json          the position in the run, and size and sha256 of the file above; written last

Each file is written under a temporary name, synced and renamed, so that it is never incomplete under its name. The
digest detects a file that was truncated by a full disk or a copy.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fashion_udf.errors import ConfigError
from fashion_udf.files import make_directory, replace_file

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

KEPT = 2


class Position(BaseModel):
    """The position of a run: all steps, those of the current epoch, and the loss and hits of that epoch so far."""

    model_config = ConfigDict(frozen=True)

    total_steps: int = Field(0, ge=0)
    epoch: int = Field(0, ge=0)
    step: int = Field(0, ge=0)  # of this epoch
    loss: float = 0.0  # summed over the steps of this epoch
    hits: float = 0.0  # rows of this epoch whose best category was right

    def after(self, steps: int, loss: float, hits: float) -> Position:
        """Return the position after further steps. `loss` and `hits` are sums over these steps."""
        return Position(
            total_steps=self.total_steps + steps,
            epoch=self.epoch,
            step=self.step + steps,
            loss=self.loss + loss,
            hits=self.hits + hits,
        )

    def figures(self, batch_size: int) -> dict[str, float]:
        """Return the mean loss and the accuracy of the epoch so far."""
        return {"loss": self.loss / max(self.step, 1), "accuracy": self.hits / max(self.step * batch_size, 1)}


class _Manifest(Position):
    sha256: str
    size: int


def save(directory: Path, position: Position, variables: Sequence[keras.Variable]) -> None:
    """Write a checkpoint and remove all but the last `KEPT`.

    Raises:
        OSError: it could not be written. The earlier checkpoints are unchanged.
    """
    from safetensors.numpy import save as to_bytes

    make_directory(directory)
    data = to_bytes({name: np.asarray(variable) for name, variable in _named(variables).items()})
    manifest = _Manifest(**position.model_dump(), sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    file = directory / f"{position.total_steps:08d}.safetensors"
    replace_file(file, data)
    replace_file(file.with_suffix(".json"), manifest.model_dump_json().encode())
    kept = {path.stem for path in sorted(directory.glob("*.json"))[-KEPT:]}
    for path in directory.iterdir():  # includes incomplete files of a killed process
        if path.stem not in kept:
            path.unlink()


def restore(directory: Path, variables: Sequence[keras.Variable]) -> Position:
    """Assign the newest complete checkpoint to `variables`.

    Returns:
        Its position. Without a complete checkpoint, nothing is assigned, and the position is the start.

    Raises:
        ConfigError: the checkpoint has other variables, because the recipe or the library changed.
    """
    from safetensors.numpy import load as from_bytes

    named = _named(variables)
    for path in sorted(directory.glob("*.json"), reverse=True):
        complete = _read(path)
        if complete is None:
            logger.warning("checkpoint %s is incomplete and ignored", path.stem)
            continue
        manifest, data = complete
        values = from_bytes(data)
        if {name: _shape(value) for name, value in values.items()} != {k: _shape(v) for k, v in named.items()}:
            raise ConfigError(
                f"Expected checkpoint {path.stem} to hold the variables of this recipe. Received: other variables. "
                "Finish the run with the recipe and the version of its start, or choose another output"
            )
        for name, variable in named.items():
            variable.assign(values[name])
        return Position(**manifest.model_dump(exclude={"sha256", "size"}))
    return Position()


def _read(path: Path) -> tuple[_Manifest, bytes] | None:
    try:
        manifest = _Manifest.model_validate_json(path.read_bytes())
        data = path.with_suffix(".safetensors").read_bytes()
    except (OSError, ValidationError):
        return None
    return (manifest, data) if hashlib.sha256(data).hexdigest() == manifest.sha256 else None


def _named(variables: Sequence[keras.Variable]) -> dict[str, keras.Variable]:
    # Paths are not unique: two dropout layers of one backbone may have the same one.
    return {f"{position:04d} {variable.path}": variable for position, variable in enumerate(variables)}


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape)
