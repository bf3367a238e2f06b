"""Tag one product, or a pandas data frame of products, in this process without Spark."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, overload

import numpy as np
import pandas as pd

from fashion_udf.config import Engine, Input, Limits, validate
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import registry
from fashion_udf.photos.photo import Remote
from fashion_udf.s3 import S3Settings
from fashion_udf.schema import TAG
from fashion_udf.scoring.scorer import Scorer, Settings

#: Columns of a data frame that are read. Missing columns count as null.
COLUMNS = ("title", "description", "image")


class Tagger:
    """A bundle ready to tag products in this process, one call at a time."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        engine: str = "openvino",
        precision: str = "f32",
        top_k: int = 5,
        threads: int | None = None,
        image_roots: Sequence[str] = (),
        image_hosts: Sequence[str] = (),
        s3: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Build the engine and run the golden rows of the bundle.

        Args:
            bundle: the result of `load_bundle`.
            engine: `openvino` or `tensorflow`.
            precision: one that the bundle offers for the engine, or `auto`: the fastest of them on this CPU.
            top_k: number of categories in `top_categories`.
            threads: CPU threads of the engine. Default: all.
            image_roots: directories that local photos may lie in.
            image_hosts: hosts that photos may be fetched from by https.
            s3: the settings of S3, as in the section `s3` of a job.

        Raises:
            ConfigError: the engine is unknown, or the bundle does not offer the precision.
            EnvironmentUnsupportedError: the engine's package is not installed; the message names the extra.
            EngineError: the engine does not start here, or its golden rows differ.
        """
        remote = remote_of(image_hosts, s3)
        settings = usual_settings(bundle, engine, precision, top_k, image_roots=image_roots, remote=remote)
        predict = registry.create(engine, bundle, settings.precision, threads or os.cpu_count() or 1)
        self._scorer = Scorer(bundle, settings, predict)
        self._model_version = bundle.model_version

    @overload
    def tag(self, products: pd.DataFrame) -> pd.DataFrame: ...

    @overload
    def tag(
        self,
        products: None = None,
        *,
        title: str | None = None,
        description: str | None = None,
        image: bytes | str | None = None,
    ) -> dict[str, Any]: ...

    def tag(
        self,
        products: pd.DataFrame | None = None,
        *,
        title: str | None = None,
        description: str | None = None,
        image: bytes | str | None = None,
    ) -> pd.DataFrame | dict[str, Any]:
        """Tag one product, or every row of a data frame. A bad photo gives a `status` and never an error.

        Args:
            products: a data frame with any of the columns `title`, `description` and `image` (bytes, or a URI).
            title: title of one product, without a data frame.
            description: description of that product.
            image: bytes of its photo, or its URI.

        Returns:
            A dict for one product; for a data frame, a data frame with the same index. The columns are those of the
            output table that depend on a product alone: `category`, `confidence`, `decision`, `top_categories` (a list
            of `category` and `confidence`), `parent_category`, `parent_confidence`, `parent_decision`, `novelty`,
            `attributes` (a list of `name`, `value`, `confidence` and `decision`), `embedding` (float32[256], or None),
            `modality`, `status`, `error`, `image_sha256` and `model_version`.
        """
        if products is None:
            one = pd.DataFrame({"title": [title], "description": [description], "image": [image]}, dtype=object)
            return {str(name): column.iloc[0] for name, column in self.tag(one).items()}
        columns = [values(products[name]) if name in products else [None] * len(products) for name in COLUMNS]
        tagged = tags(self._scorer.score(*columns), self._model_version)
        # Scores have tuples and memory views, which are fast for Spark. People expect names and arrays.
        changed: dict[str, list[Any]] = {
            "embedding": [None if row is None else np.asarray(row) for row in tagged["embedding"]]
        }
        for name in ("top_categories", "attributes"):
            fields = [field.name for field in TAG.field(name).type.value_type]
            changed[name] = [
                None if row is None else [dict(zip(fields, entry, strict=True)) for entry in row]
                for row in tagged[name]
            ]
        objects = {name: pd.Series(column, dtype=object) for name, column in changed.items()}
        return tagged.assign(**objects).set_index(products.index)


def remote_of(image_hosts: Sequence[str], s3: Mapping[str, Any]) -> Remote:
    """Return the settings of remote photos.

    Raises:
        ConfigError: the name of a host, or a setting of S3, is invalid.
    """
    hosts = validate(Input, {"path": "", "image_hosts": tuple(image_hosts)}, "image_hosts").image_hosts
    return Remote(hosts=hosts, s3=validate(S3Settings, s3, "s3"), seconds=Limits().image_timeout)


def usual_settings(
    bundle: Bundle,
    engine: str,
    precision: str,
    top_k: int,
    photo: Literal["bytes", "uri", "none"] = "bytes",
    image_roots: Sequence[str] = (),
    remote: Remote | None = None,
) -> Settings:
    """Return settings with the default limits of a job.

    Raises:
        ConfigError: the engine is unknown, or the bundle does not offer the precision.
    """
    return Settings(
        engine=engine,
        precision=registry.resolve_precision(engine, bundle, precision),
        batch_size=Engine().batch_size,
        top_k=top_k,
        photo=photo,
        image_roots=tuple(image_roots),
        max_image_bytes=Limits().max_image_bytes,
        max_image_pixels=Limits().max_image_pixels,
        remote=remote or Remote(),
    )


def tags(scores: pd.DataFrame, model_version: str) -> pd.DataFrame:
    """Return the columns of `TAG` from the columns of `SCORE`."""
    renamed = scores.rename(columns={"model_category": "category"})
    renamed["model_version"] = pd.Series([model_version] * len(scores), dtype=object)
    return pd.DataFrame(renamed, columns=TAG.names)


def values(column: pd.Series) -> list[Any]:
    """Return the values of a column, with None for missing values (NaN, NA, NaT)."""
    return [None if missing else value for value, missing in zip(column.tolist(), column.isna(), strict=True)]
