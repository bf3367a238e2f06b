"""Released weights: half precision, and a model that computes with the rounded weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fashion_udf.errors import BundleError
from fashion_udf.model.engines.tensorflow import weights_by_name

if TYPE_CHECKING:
    import keras


def round_to_half(model: keras.Model) -> bytes:
    """Round the float weights of a model to half precision, in place.

    Returns:
        The weights as a safetensors file, by name.

    Raises:
        BundleError: a weight is not finite, or too large for half precision.
    """
    from safetensors.numpy import save

    rounded = {}
    for name, variable in weights_by_name(model).items():
        value = np.asarray(variable)
        if value.dtype == np.float32:
            with np.errstate(over="ignore"):  # the error below names the weight
                value = value.astype(np.float16)
            if not np.isfinite(value).all():
                raise BundleError(
                    f"Expected weight {name} to be finite in half precision. Received: a larger one or NaN"
                )
            variable.assign(value.astype(np.float32))
        rounded[name] = value
    return bytes(save(rounded))
