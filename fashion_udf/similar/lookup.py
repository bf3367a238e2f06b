"""Find the products most similar to a product, or to a photo and a title: an exact search in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from fashion_udf.errors import InputError
from fashion_udf.similar import products, search
from fashion_udf.similar.products import Products
from fashion_udf.similar.selection import Rules
from fashion_udf.table.commit import Commit
from fashion_udf.table.tags_table import TagsTable

_COLUMNS = ("product_id", "category", "embedding", "image_sha256", "model_version")


@dataclass(frozen=True)
class Neighbour:
    """A similar product, and its score: the cosine of the two embeddings."""

    product_id: str
    score: float
    category: str


@dataclass(frozen=True, eq=False)
class Lookup:
    """The embeddings of a snapshot, in memory: about 1 KB for each product.

    Attributes:
        commit: the commit of the tags.
        held: the comparable products.
        places: indexes of the products in `held`, by id.
    """

    commit: Commit
    held: Products
    places: dict[str, int] = field(repr=False)

    def of_product(self, product_id: str, k: int = 10, *, anywhere: bool = False) -> list[Neighbour]:
        """Return the most similar products of a product, best first, without products with exactly the same photo.

        Args:
            product_id: id of a product of the tags.
            k: maximum of products.
            anywhere: search all categories, not only the product's own.

        Raises:
            InputError: the tags have no such product, or no embedding of their model for it.
        """
        place = self.places.get(product_id)
        if place is None:
            raise InputError(
                f"Expected the id of a product with an embedding of model {self.commit.model_version[:12]} in the "
                f"tags. Received: {product_id!r}"
            )
        own = self.held.take(np.array([place]))
        return self._nearest(own, k, None if anywhere else own.category[0].as_py())

    def of_vector(self, vector: Sequence[float], k: int = 10, category: str | None = None) -> list[Neighbour]:
        """Return the products most similar to an embedding of the same model.

        Args:
            vector: float32[256] of unit length, such as from `Tagger.tag`.
            k: maximum of products.
            category: category of the products; None for any.
        """
        query = _block(pd.DataFrame({"product_id": [""], "category": [""], "embedding": [list(vector)]}))
        return self._nearest(query, k, category)

    def require_model(self, model_version: str) -> None:
        """Refuse embeddings of another model, which cannot be compared.

        Raises:
            InputError: the tags have another model.
        """
        if model_version != self.commit.model_version:
            raise InputError(
                f"Expected a bundle of the model of the tags, {self.commit.model_version[:12]}. Received: "
                f"{model_version[:12]}; name that bundle, or tag the catalog with this one"
            )

    def _nearest(self, query: Products, k: int, category: str | None) -> list[Neighbour]:
        candidates = self.held
        if category is not None:
            candidates = candidates.take(_rows(candidates, category))
        found = search.search(query, candidates, Rules(k), k)
        return [
            Neighbour(candidates.ids[place].as_py(), score, candidates.category[place].as_py())
            for place, score in zip(found.places[0].tolist(), found.scores[0].tolist(), strict=True)
            if place >= 0
        ]


def load(output: str) -> Lookup:
    """Read the embeddings of the current tags.

    Raises:
        InputError: nothing was published, or faiss is not installed.
    """
    search.require_faiss()
    table = TagsTable(output)
    commit = table.current()
    frame = table.to_pandas(_COLUMNS, commit.number if commit else None)  # raises an error if nothing was published
    assert commit is not None
    fine = frame["embedding"].notna() & (frame["model_version"] == commit.model_version) & frame["category"].notna()
    held = _block(frame[fine])
    return Lookup(commit, held, {name: place for place, name in enumerate(held.ids.to_pylist())})


def _rows(held: Products, category: str) -> NDArray[np.intp]:
    return np.flatnonzero(np.array(held.category.to_pylist(), object) == category)


def _block(frame: pd.DataFrame) -> Products:
    count = len(frame)
    photo = frame["image_sha256"] if "image_sha256" in frame else [None] * count
    vectors = np.stack(frame["embedding"].to_list()).astype(np.float32) if count else np.zeros((0, 1), np.float32)
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * vectors.shape[1])
    columns = {
        "product_id": pa.array(frame["product_id"], pa.string()),
        "embedding": pa.ListArray.from_arrays(offsets, pa.array(vectors.ravel())),
        "category": pa.array(frame["category"], pa.string()),
        "photo": pa.array(photo, pa.string()),
        "item_group": pa.nulls(count, pa.string()),
        "caps": pa.array([[]] * count, pa.list_(pa.string())),
        "numbers": pa.array([[]] * count, pa.list_(pa.float64())),
    }
    return products.from_arrow(pa.table(columns))
