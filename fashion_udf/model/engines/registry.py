"""Build an engine by name: it turns a bundle into a predict function, after it has run the bundle's golden rows.

Importing this package loads no framework. The process that uses an engine loads its framework when it builds the
engine.
"""

from __future__ import annotations

from collections.abc import Callable

from fashion_udf.errors import ConfigError, EngineError, EnvironmentUnsupportedError, FashionError
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import golden, openvino, tensorflow
from fashion_udf.model.engines.precision import AUTO, choose
from fashion_udf.model.engines.prediction import Predict

#: Name -> function of a bundle, a precision and a number of threads.
ENGINES: dict[str, Callable[[Bundle, str, int], Predict]] = {"openvino": openvino.build, "tensorflow": tensorflow.build}


def create(name: str, bundle: Bundle, precision: str, threads: int) -> Predict:
    """Build an engine and run its golden rows on this host.

    Args:
        name: a key of `ENGINES`.
        bundle: a verified bundle.
        precision: one that the bundle's manifest offers for this engine.
        threads: CPU threads of one prediction.

    Raises:
        ConfigError: the name is unknown, or the bundle does not offer the precision.
        EnvironmentUnsupportedError: the engine's package is not installed.
        EngineError: the engine does not start, or its golden rows differ on this host.
    """
    require_offered(name, bundle, precision)
    predict = build(name, bundle, precision, threads)
    golden.require(predict, bundle, name, precision)
    return predict


def resolve_precision(name: str, bundle: Bundle, precision: str) -> str:
    """Return the precision to run; for `auto`, the fastest on this host. Call it on the driver.

    Raises:
        ConfigError: the name is unknown, or the bundle does not offer the precision.
    """
    resolved = choose(name, bundle) if precision == AUTO else precision
    require_offered(name, bundle, resolved)
    return resolved


def require_offered(name: str, bundle: Bundle, precision: str) -> None:
    """Check the choice of an engine without building it: on the driver, before anything is read.

    Raises:
        ConfigError: the name is unknown, or the bundle does not offer the precision.
    """
    if name not in ENGINES:
        raise ConfigError(f"Expected engine.name to be one of {sorted(ENGINES)}. Received: {name!r}")
    offered = bundle.manifest.engines.get(name, [])
    if precision not in offered:
        raise ConfigError(
            f"Expected a precision that model {bundle.model_version[:12]} offers for {name}: {offered}. "
            f"Received: {precision!r}"
        )


def build(name: str, bundle: Bundle, precision: str, threads: int) -> Predict:
    """Build an engine without running golden rows: the export measures engines before a bundle offers them.

    Raises:
        EnvironmentUnsupportedError: the engine's package is not installed.
        EngineError: the engine does not start.
    """
    try:
        return ENGINES[name](bundle, precision, threads)
    except FashionError:
        raise
    except ImportError as error:
        raise EnvironmentUnsupportedError(
            f"Expected the {name} package: pip install 'fashion-udf[{name}]'. Received: {error}"
        ) from error
    except Exception as error:  # a framework may raise anything if it cannot run a model
        raise EngineError(
            f"Expected {name} to start with model {bundle.model_version[:12]}. "
            f"Received: {type(error).__name__}: {' '.join(str(error).split())[:500]}"
        ) from error
