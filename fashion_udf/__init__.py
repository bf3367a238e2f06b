"""Tag a fashion catalog with Spark: rows -> decoded arrays -> predictions -> a published tags table.

    import fashion_udf as fu

    bundle = fu.load_bundle("builtin")
    fu.Tagger(bundle).tag(title="Blue jeans")["category"]

Executors import this package in every Python worker, so the import must be cheap. The public names load when they are
first used. Functions import tensorflow, openvino, pyspark and boto3 themselves, after Spark has forked the worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fashion_udf.api import Tagger, TagsTable, load_bundle, load_config, tag_catalog, tag_udf

__version__ = "0.2.0"
__all__ = ["Tagger", "TagsTable", "load_bundle", "load_config", "tag_catalog", "tag_udf"]


def __getattr__(name: str) -> Any:
    """Load the public API when one of its names is first used."""
    if name not in __all__:
        raise AttributeError(f"module 'fashion_udf' has no attribute {name!r}; it has {', '.join(__all__)}")
    try:
        from fashion_udf import api
    except ImportError as error:
        raise ImportError(
            f"Expected the packages that fashion-udf needs: pip install 'fashion-udf[spark,openvino]'. "
            f"Received: {error}"
        ) from error
    return getattr(api, name)


def __dir__() -> list[str]:
    """List the public names as well: notebooks complete them."""
    return sorted([*globals(), *__all__])
