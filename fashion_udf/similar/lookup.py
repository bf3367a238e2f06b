"""Find the products most similar to a product, or to a photo and a title: an exact search in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fashion_udf.errors import InputError
from fashion_udf.similar import products, search
from fashion_udf.similar.products import Products
from fashion_udf.similar.selection import Rules
from fashion_udf.table import snapshot, tags_table
from fashion_udf.table.commit import Commit

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
        embedding = pa.array([vector], pa.list_(pa.float32()))
        query = _block(pa.table({"product_id": [""], "category": [""], "embedding": embedding, "image_sha256": [None]}))
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
    commit = snapshot.newest(output)
    table = tags_table.read(output, commit, _COLUMNS)
    own = pc.equal(table["model_version"], commit.model_version)
    held = _block(table.filter(pc.and_(own, pc.and_(pc.is_valid(table["embedding"]), pc.is_valid(table["category"])))))
    return Lookup(commit, held, {name: place for place, name in enumerate(held.ids.to_pylist())})


def _rows(held: Products, category: str) -> NDArray[np.intp]:
    return np.flatnonzero(pc.equal(held.category, category).to_numpy(zero_copy_only=False))


def _block(table: pa.Table) -> Products:
    count = len(table)
    columns = {
        "product_id": table["product_id"],
        "embedding": table["embedding"],
        "category": table["category"],
        "photo": table["image_sha256"].cast(pa.string()),
        "item_group": pa.nulls(count, pa.string()),
        "caps": pa.array([[]] * count, pa.list_(pa.string())),
        "numbers": pa.array([[]] * count, pa.list_(pa.float64())),
    }
    return products.from_arrow(pa.table(columns))
