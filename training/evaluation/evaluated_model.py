"""A bundle, ready to run over the splits of a training set, and the rows that the bundle is measured on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fashion_udf.errors import CatalogError
from fashion_udf.model import bundle
from fashion_udf.model.engines import registry
from fashion_udf.model.engines.prediction import Predict
from fashion_udf.model.manifest import Manifest
from fashion_udf.progress import progress
from fashion_udf.schema import Modality

from ..data import dataset, labelled_rows
from .modality_logits import MODALITIES, ModalityLogits, modality_logits

#: A category with fewer labelled products than this can hardly be learned, nor measured.
FREQUENT = 10
_BATCH = 32  # rows


@dataclass(frozen=True)
class EvaluatedModel:
    """A bundle in an engine, beside a training set."""

    manifest: Manifest
    version: str
    predict: Predict
    preparation: dataset.Preparation
    data: Path

    def run(
        self, split: str, modalities: Sequence[Modality], label: str, edit: dataset.Edit | None = None
    ) -> ModalityLogits:
        """Run the model over all rows of a split, and show progress on standard error.

        Args:
            split: the name of the split.
            modalities: the inputs to run it with.
            label: what progress says before the number of rows.
            edit: changes each text before it is tokenized.
        """
        batches = labelled_rows.batches(self.data / split, self.preparation, _BATCH, edit)
        return modality_logits(self.predict, _followed(batches, dataset.count(self.data / split), label), modalities)


@dataclass(frozen=True)
class EvaluatedRows:
    """The n measured rows of a split, all of categories that the model knows, and the model's logits for them."""

    product_ids: Sequence[str]
    titles: Sequence[str]
    outcome: ModalityLogits
    frequent: NDArray[np.bool_]  # [n]: of a category with at least `FREQUENT` labelled products
    known: NDArray[np.bool_]  # which rows of the split these are, by file order

    def groups(self) -> dict[str, NDArray[np.bool_]]:
        """Return the groups of rows that are measured each by itself: name -> bool[n], which rows are in it."""
        return {"all": np.ones(len(self.frequent), bool), "frequent": self.frequent}


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
        preparation=dataset.Preparation(
            model.files["tokenizer.json"], tuple(model.manifest.labels), model.manifest.image.size
        ),
        data=data,
    )


def run_three_ways(model: EvaluatedModel, split: str, products: Counter[str]) -> EvaluatedRows:
    """Run the model over a split with both inputs and with either alone.

    Args:
        model: the model.
        split: the name of the split.
        products: category -> products in the whole labelled set.

    Raises:
        CatalogError: no row is of a category that the model knows.
    """
    folder = model.data / split
    outcome = model.run(split, MODALITIES, f"{split}, by photo, text and both: ran")
    known = outcome.labels >= 0
    if not known.any():
        raise CatalogError(
            f"Expected a row of one of the model's {len(model.manifest.labels)} categories. "
            f"Received: {len(known)} rows without one in {folder}"
        )

    def column(name: str) -> list[str]:
        return [value for value, keep in zip(labelled_rows.column(folder, name), known, strict=True) if keep]

    return EvaluatedRows(
        product_ids=column("product_id"),
        titles=labelled_rows.titles(column("text")),
        outcome=outcome.select(known),
        frequent=np.asarray([products[category] >= FREQUENT for category in column("category")], bool),
        known=known,
    )


def _followed(batches: Iterator[dataset.Batch], total: int, label: str) -> Iterator[dataset.Batch]:
    """Pass batches on, and show how many rows are done."""
    done = 0
    with progress(total, label=label) as shown:
        for batch in batches:
            yield batch
            done += len(batch[1])
            shown.update(done)
