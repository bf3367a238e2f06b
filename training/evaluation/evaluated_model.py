"""A bundle, ready to run over the splits of a training set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fashion_udf.model import bundle
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import registry
from fashion_udf.model.engines.prediction import Predict
from fashion_udf.model.manifest import Manifest

from ..data import dataset, labelled_rows
from . import odd_rows, views
from .decided import Meaning
from .views import PHOTO, Row, Seen, View


@dataclass(frozen=True)
class EvaluatedModel:
    """A bundle in an engine, with a training set."""

    manifest: Manifest
    version: str
    predict: Predict
    preparation: dataset.Preparation
    meaning: Meaning
    data: Path

    def run(self, split: str, seen_as: Sequence[View], label: str, with_photo: bool = False) -> Seen:
        """Run the model over all rows of a split, and show progress on standard error.

        Args:
            split: the name of the split.
            seen_as: the views to run.
            label: text of the progress before the number of rows.
            with_photo: skip rows without a photo.
        """
        rows = labelled_rows.rows(self.data / split)
        kept = (row for row in rows if row["image"]) if with_photo else rows
        return self.run_rows(kept, seen_as, label, dataset.count(self.data / split))

    def run_rows(self, rows: Iterable[Row], seen_as: Sequence[View], label: str, total: int) -> Seen:
        """Run the model over `total` rows, and show progress on standard error."""
        parents = self.meaning.taxonomy.by_category
        return views.run(self.predict, rows, self.preparation, seen_as, parents, label, total)

    def run_odd(self) -> Seen:
        """Run the model over pictures without a product."""
        return views.run(self.predict, odd_rows.rows(self.manifest.image.size), self.preparation, [PHOTO])


def read(reference: str, data: Path, engine: str, precision: str) -> EvaluatedModel:
    """Read a bundle and start its engine.

    Raises:
        BundleError, ConfigError, EngineError: the bundle cannot be used, or not with this engine.
    """
    model = bundle.read(reference)
    return EvaluatedModel(
        manifest=model.manifest,
        version=model.model_version,
        predict=registry.create(engine, model, precision, threads=2),
        preparation=preparation(model),
        meaning=meaning(model, precision),
        data=data,
    )


def preparation(model: Bundle) -> dataset.Preparation:
    """Return how rows of a training set are converted to inputs of a bundle's model."""
    manifest = model.manifest
    return dataset.Preparation(
        model.files["tokenizer.json"],
        tuple(manifest.labels),
        manifest.image.size,
        tuple(dataset.Attribute(attribute.name, tuple(attribute.values)) for attribute in manifest.attributes),
    )


def meaning(model: Bundle, precision: str) -> Meaning:
    """Return the facts of a bundle that interpret the outputs of a precision."""
    return Meaning(model.taxonomy, model.manifest.attributes, model.manifest.calibration[precision])
