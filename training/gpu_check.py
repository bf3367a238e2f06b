"""Check a host with a GPU before a long run, on a generated catalog: `python -m training.gpu_check`.

    step       the first steps on the GPU equal those on the CPU, in float32
    training   two epochs of `python -m training.train`, with rows without text and rows without a photo
    resume     a run that was killed after a checkpoint ends like one that was not killed
    export     `python -m training.export` of the run, which compares every engine with the Keras model
    speed      photos per second for each batch size in float32 and bfloat16, without and with the input pipeline, and
               the first loss of the two precisions

Each check prints a line. If one fails, the others still run, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fashion_udf import cli
from fashion_udf.errors import EngineError, EnvironmentUnsupportedError

from . import train
from .data import dataset, generated_set
from .data.training_batches import training_batches
from .fitting.checkpoint import Position
from .fitting.epochs import Epochs, Trained
from .fitting.recipe import Recipe
from .fitting.step import SUMS, train_step
from .fitting.strategy import unused_gpu

#: Maximum relative differences: of the first steps on two devices, which add in other orders; of an epoch's loss in two
#: runs on one GPU, which adds in another order each time; of the first loss in bfloat16, which has three digits.
SAME_STEP, SAME_EPOCH, SAME_BFLOAT16 = 2e-3, 0.05, 0.05


@dataclass(frozen=True)
class Scale:
    """The size of the checks. The test of this file uses a smaller one."""

    device: str = "GPU"
    rows: int = 2048
    image_size: int = 96
    batch_sizes: tuple[int, ...] = (32, 256)
    steps: int = 30


def run(scale: Scale, folder: Path, write: Callable[[str], object] = sys.stdout.write) -> bool:
    """Run all checks, write a line for each, and return whether all passed.

    Args:
        scale: the size of the checks.
        folder: an empty directory for the catalog and the runs.
        write: writes a line.

    Raises:
        EnvironmentUnsupportedError: TensorFlow does not find the device.
    """
    import tensorflow as tf

    if not (devices := tf.config.list_physical_devices(scale.device)):
        reason = unused_gpu() or "a machine without an NVIDIA GPU, or with CUDA_VISIBLE_DEVICES=-1"
        raise EnvironmentUnsupportedError(f"Expected a {scale.device} that TensorFlow sees. Received: none; {reason}")
    details = tf.config.experimental.get_device_details(devices[0])
    write(f"device    {len(devices)} x {details.get('device_name', scale.device)}, TensorFlow {tf.__version__}\n")
    generated_set.write(folder / "set", scale.rows)
    checks = (_step, _training, _resume, _export, _speed)
    return all([_passes(check, scale, folder, write) for check in checks])


def _passes(check: Callable[[Scale, Path], Iterator[str]], scale: Scale, folder: Path, write: Any) -> bool:
    name = check.__name__[1:]
    try:
        for line in check(scale, folder):
            write(f"{name:9} {line}\n")
        return True
    except Exception as error:  # the other checks run in any case
        logging.getLogger(__name__).info("traceback of %s", name, exc_info=True)
        write(f"{name:9} FAILED: {type(error).__name__}: {' '.join(str(error).split())[:500]}\n")
        return False


def _step(scale: Scale, folder: Path) -> Iterator[str]:
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        here, there = (_first_steps(scale, folder, device) for device in (scale.device, "CPU"))
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(True)
    worst = float(np.max(np.abs(here - there) / np.abs(there)))
    _require(worst <= SAME_STEP, f"losses and gradient norms differ by {worst:.1e} from the CPU's: {here}, {there}")
    yield f"losses and gradient norms of 3 steps within {worst:.1e} of the CPU's"


def _first_steps(scale: Scale, folder: Path, device: str) -> np.ndarray[Any, Any]:
    """Return losses and gradient norms float32[3, 2] of three steps without random changes."""
    run = _Run.built(_recipe(scale, folder, scale.batch_sizes[0], augmentation=_STILL), device, "float32")
    sums = np.asarray([run.sums(batch) for batch in run.batches(3)])
    return sums[:, [SUMS.index("loss"), SUMS.index("gradient_norm")]]


def _training(scale: Scale, folder: Path) -> Iterator[str]:
    _command("train", _config(scale, folder, "whole"))
    for line in _history(folder / "whole"):
        _require(math.isfinite(line["loss"]) and line["loss"] > 0, f"the loss is {line['loss']}")
        yield f"epoch {line['epoch'] + 1}: loss {line['loss']:.3f}, validation {line['validation']}"


def _resume(scale: Scale, folder: Path) -> Iterator[str]:
    arguments = _config(scale, folder, "killed")
    process = subprocess.Popen([*_PYTHON, f"{__package__}.train", *arguments], stderr=subprocess.DEVNULL)
    while process.poll() is None and not list((folder / "killed" / "checkpoints").glob("*.json")):
        time.sleep(0.01)
    process.kill()
    process.wait()
    _require(not (folder / "killed" / "weights.safetensors").exists(), "the run ended before it could be killed")
    _command("train", arguments)
    whole, killed = ([line["loss"] for line in _history(folder / name)] for name in ("whole", "killed"))
    _require(np.allclose(whole, killed, rtol=SAME_EPOCH), f"losses of the epochs are {killed}, and {whole} without")
    yield f"losses of the epochs {killed}, and {whole} of the run that was not killed"


def _export(scale: Scale, folder: Path) -> Iterator[str]:
    _command("export", ["--run", str(folder / "whole"), "--output", str(folder / "bundle")])
    manifest = json.loads((folder / "bundle" / "manifest.json").read_text(encoding="utf-8"))
    _require(set(manifest["engines"]) == {"openvino", "tensorflow"}, f"offered are {manifest['engines']} alone")
    yield f"offered are {manifest['engines']}"


def _speed(scale: Scale, folder: Path) -> Iterator[str]:
    first: dict[str, float] = {}
    for size in scale.batch_sizes:
        for precision in ("float32", "mixed_bfloat16"):
            run = _Run.built(_recipe(scale, folder, size), scale.device, precision)
            (batch,) = run.batches(1)
            loss = float(run.sums(batch)[0])  # compiles
            first.setdefault(precision, loss)
            without = run.photos_per_second(batch, scale.steps)
            figures = run.second_epoch()
            yield (
                f"batch {size}, {precision}: {without:.0f} photos/s; {figures['photos_per_second']:.0f} with the input "
                f"pipeline, {100 * figures['waited_for_data']:.0f} % of the time waiting for it"
            )
    difference = abs(first["mixed_bfloat16"] / first["float32"] - 1)
    _require(difference <= SAME_BFLOAT16, f"the first losses differ by {difference:.1e}: {first}")
    yield f"the first loss in bfloat16 is within {difference:.1e} of float32's"


@dataclass(frozen=True)
class _Run:
    """A model that trains in this process."""

    recipe: Recipe
    preparation: dataset.Preparation
    trained: Trained
    step: Any

    @classmethod
    def built(cls, recipe: Recipe, device: str, precision: str) -> _Run:
        import tensorflow as tf

        preparation = train.prepare(recipe)
        trained = train.build(recipe, tf.distribute.OneDeviceStrategy(f"/{device}:0"), preparation, precision=precision)
        parts = (trained.strategy, trained.model, trained.optimizer, recipe, trained.loss_of, trained.word_head)
        return cls(recipe, preparation, trained, train_step(*parts))

    def batches(self, count: int) -> list[Any]:
        folder, seed = self.recipe.data / "train", self.recipe.seed
        return list(training_batches(folder, self.preparation, self.recipe.batch_size, seed).take(count))

    def sums(self, batch: Any, before: Any = (0.0, 0.0, 0.0)) -> Any:
        import tensorflow as tf

        return self.step(tf.constant(before), tf.constant([0, 0]), tf.constant(1.0), *batch)

    def photos_per_second(self, batch: Any, steps: int) -> float:
        started, sums = time.perf_counter(), self.sums(batch)
        for _ in range(steps - 1):
            sums = self.sums(batch, sums)
        _require(math.isfinite(float(sums[0])), "the loss is not finite")
        return self.recipe.batch_size * steps / (time.perf_counter() - started)

    def second_epoch(self) -> dict[str, float]:
        """Return the figures of an epoch with decoded photos and a compiled step."""
        epochs, (stage,) = Epochs(self.recipe, self.trained, lambda values, step: None), self.recipe.stages
        position, _ = epochs.run(self.preparation, stage, Position())
        return epochs.run(self.preparation, stage, Position(total_steps=position.total_steps, epoch=1))[1]


_PYTHON = (sys.executable, "-m")
_STILL = {"flip": False, "shift": 0, "zoom": 0, "word_dropout": 0}


def _recipe(scale: Scale, folder: Path, batch_size: int, **changes: Any) -> Recipe:
    tree = {"data": folder / "set", "output": folder / "run", "vocabulary_size": 512, "batch_size": batch_size}
    tree |= {"stages": [{"image_size": scale.image_size, "epochs": 2}], "warmup_epochs": 0, "checkpoint_minutes": 60}
    return Recipe.model_validate(tree | changes)


def _config(scale: Scale, folder: Path, name: str) -> list[str]:
    """Write the recipe of a run that is saved after every step; return the arguments of `training.train`."""
    recipe = _recipe(scale, folder, scale.batch_sizes[0], output=folder / name, checkpoint_minutes=0)
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json")), encoding="utf-8")
    return ["--config", str(path)]


def _command(module: str, arguments: list[str]) -> None:
    done = subprocess.run(
        [*_PYTHON, f"{__package__}.{module}", *arguments], capture_output=True, text=True, check=False
    )
    _require(done.returncode == 0, f"{module} ended with {done.returncode}: {done.stderr[-400:]}")


def _history(run: Path) -> list[dict[str, Any]]:
    lines = (run / "history.jsonl").read_text(encoding="utf-8").splitlines()
    _require(len(lines) == 2, f"{len(lines)} epochs instead of 2")
    return [json.loads(line) for line in lines]


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise EngineError(otherwise)


def main() -> None:
    """Check the host."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # the runs are other processes on the same GPU
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(0 if run(Scale(), Path(folder)) else 1)


if __name__ == "__main__":
    cli.run(main)
