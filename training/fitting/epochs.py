"""An epoch of training: its remaining batches, their steps, and the sums that are read from the device."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fashion_udf.errors import ConfigError
from fashion_udf.progress import progress

from ..data import dataset, shop_text
from ..data.dataset import Preparation
from ..data.photo_cache import PhotoCache
from ..data.training_batches import Shard, training_batches
from . import averaging, checkpoint
from .checkpoint import Position
from .losses import BatchLoss
from .recipe import Recipe, Stage
from .step import SUMS, train_step
from .strategy import distribute, is_chief

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

#: Writes named values by step.
Scalars = Callable[[Mapping[str, float], int], None]

#: Seconds between two readings of the sums, because each waits for the device.
READ_SECONDS = 1.0


@dataclass(frozen=True)
class Trained:
    """The models and the optimizer of a run, and the devices they are on."""

    strategy: tf.distribute.Strategy
    model: keras.Model
    averaged: keras.Model  # unfused, with the running average of the weights; it is validated and released
    optimizer: keras.optimizers.Optimizer
    loss_of: BatchLoss
    word_head: keras.layers.Layer | None  # None if its weight in the recipe is 0

    @property
    def variables(self) -> list[keras.Variable]:
        """All state of a run: weights, running means, seeds of dropout, the optimizer's moments."""
        words = self.word_head.variables if self.word_head else []
        return [*self.model.variables, *self.averaged.weights, *words, *self.optimizer.variables]


@dataclass
class Epochs:
    """The parts that the epochs of a run share: the compiled step, the average of the weights, the decoded photos."""

    recipe: Recipe
    trained: Trained
    scalars: Scalars
    _products: int = field(init=False)
    _step: Any = field(init=False)
    _average: Callable[[int], None] = field(init=False)
    _photos: PhotoCache | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Compile the step."""
        recipe, trained = self.recipe, self.trained
        self._products = dataset.count(recipe.data / "train")
        self._step = train_step(
            trained.strategy, trained.model, trained.optimizer, recipe, trained.loss_of, trained.word_head
        )
        self._average = averaging.updater(trained.averaged, trained.model, recipe.average_decay)

    def run(self, preparation: Preparation, stage: Stage, position: Position) -> tuple[Position, dict[str, float]]:
        """Run the rest of an epoch of `stage`, with checkpoints.

        Returns:
            The last position of the epoch, and its figures.

        Raises:
            ConfigError: the loss is not finite.
        """
        batch_size, first = self.recipe.batch_size, position.step
        steps = stage.steps(self.recipe.rows(self._products), batch_size)
        started = time.monotonic()
        with progress((steps - first) * batch_size, label=f"epoch {position.epoch + 1}: trained") as shown:

            def show(reached: Position) -> None:
                detail = "loss {loss:.3f}, accuracy {accuracy:.3f}".format(**reached.figures(batch_size))
                shown.update((reached.step - first) * batch_size, detail)

            position, waited = self._steps(self._batches(preparation, stage, position), steps, stage, position, show)
        seconds = max(time.monotonic() - started, 1e-9)
        return position, {
            "epoch": position.epoch,
            "image_size": preparation.image_size,
            **position.figures(batch_size),
            "photos_per_second": (position.step - first) * batch_size / seconds,
            "waited_for_data": waited / seconds,
        }

    def _steps(
        self, batches: Any, steps: int, stage: Stage, position: Position, show: Callable[[Position], None]
    ) -> tuple[Position, float]:
        """Run the steps up to `steps`; return the last position and the seconds of waiting for data.

        The sums stay on the device. The host reads them once a second, before a checkpoint and at the end.
        """
        import tensorflow as tf

        seed, crop = self.recipe.seed + position.epoch, tf.constant(stage.crop, tf.float32)
        batches, taken, waited, sums = iter(batches), 0, 0.0, tf.zeros(len(SUMS))
        read = saved = time.monotonic()
        while position.step + taken < steps:
            asked = time.monotonic()
            batch = next(batches)
            waited += time.monotonic() - asked
            sums = self._step(sums, tf.constant([seed, position.step + taken]), crop, *batch)
            taken += 1
            total, last, now = position.total_steps + taken, position.step + taken == steps, time.monotonic()
            if last or total % averaging.EVERY == 0:
                self._average(total)
            save = is_chief(self.trained.strategy) and now - saved >= 60 * self.recipe.checkpoint_minutes
            if last or save or now - read >= READ_SECONDS:
                position = self._read(position, taken, sums)
                taken, sums, read = 0, tf.zeros(len(SUMS)), now
                show(position)
            if save:
                checkpoint.save(self.recipe.output / "checkpoints", position, self.trained.variables)
                saved = time.monotonic()
        return position, waited

    def _read(self, position: Position, taken: int, sums: tf.Tensor) -> Position:
        """Return the position after `taken` further steps."""
        added = dict(zip(SUMS, map(float, sums.numpy()), strict=True))
        if not math.isfinite(added["loss"]):
            raise ConfigError(
                f"Expected a finite loss. Received: {added['loss']} within {taken} steps after {position}. "
                "Lower learning_rate"
            )
        position = position.after(taken, added["loss"], added["hits"])
        figures = {f"train/{name}": value / taken for name, value in added.items()}
        figures["train/hits"] /= self.recipe.batch_size
        self.scalars({**figures, "train/rate": float(self.trained.optimizer.learning_rate)}, position.total_steps)
        return position

    def _batches(self, preparation: Preparation, stage: Stage, position: Position) -> tf.distribute.DistributedDataset:
        """Return the batches of an epoch after `position`: the same as in an uninterrupted run."""
        recipe, strategy = self.recipe, self.trained.strategy
        seed = recipe.seed + position.epoch
        edit = shop_text.editor(recipe.text_augmentation, seed) if recipe.text_augmentation else None
        if self._photos is None or self._photos.size != stage.image_size:
            if self._photos:
                self._photos.close()
            self._photos = PhotoCache(stage.image_size, self._products, int(recipe.photo_cache_gb * 1e9))
        photos = self._photos

        def of_worker(batch_size: int, index: int, count: int) -> tf.data.Dataset:
            done = position.step * (strategy.num_replicas_in_sync // count)  # each local replica takes one per step
            return training_batches(
                recipe.data / "train",
                preparation,
                batch_size,
                seed,
                shard=Shard(index, count),
                skip=done,
                edit=edit,
                photos=photos,
                outliers=recipe.outliers,
            )

        return distribute(strategy, recipe.batch_size, of_worker)
