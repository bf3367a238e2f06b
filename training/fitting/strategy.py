"""Choose where a model trains: one device, several GPUs of a machine, or several machines."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fashion_udf.errors import ConfigError

if TYPE_CHECKING:
    import tensorflow as tf

logger = logging.getLogger(__name__)

#: Compute capability from which a GPU computes in bfloat16 (NVIDIA Ampere). bfloat16 has the range of float32, so that
#: losses need no scaling, unlike in float16.
BFLOAT16_CAPABILITY = (8, 0)
#: Files of NVIDIA's driver for a GPU, below /. The last one is for WSL.
_GPU_FILES = ("proc/driver/nvidia/gpus/*", "dev/nvidia[0-9]*", "usr/lib/wsl/lib/nvidia-smi")


def choose_strategy() -> tf.distribute.Strategy:
    """Return the strategy of this process. The choice is logged.

    The strategy is `MultiWorkerMirroredStrategy` if the environment variable TF_CONFIG names several workers,
    `MirroredStrategy` if there are several GPUs (or logical CPU devices, for tests), otherwise one device.

    Raises:
        ConfigError: TF_CONFIG has another format than TensorFlow documents.
    """
    import tensorflow as tf

    if "TF_CONFIG" in os.environ:
        _require_workers(os.environ["TF_CONFIG"])
        name, strategy = "MultiWorkerMirroredStrategy", tf.distribute.MultiWorkerMirroredStrategy()
    else:
        gpus = tf.config.list_logical_devices("GPU")
        if not gpus and (evidence := unused_gpu()):
            logger.warning("%s", evidence)
        devices = gpus or tf.config.list_logical_devices("CPU")
        names = [device.name for device in devices]
        if len(names) > 1:
            name, strategy = "MirroredStrategy", tf.distribute.MirroredStrategy(names)
        else:
            name, strategy = "OneDeviceStrategy", tf.distribute.OneDeviceStrategy(names[0])
    logger.info("strategy: %s, %d replica(s)", name, strategy.num_replicas_in_sync)
    return strategy


def unused_gpu() -> str | None:
    """Return advice about an NVIDIA GPU of this machine that TensorFlow does not find; None if there is no such GPU.

    If CUDA_VISIBLE_DEVICES hides all GPUs, the result is None too.
    """
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1")
    if hidden or not (found := [str(path) for pattern in _GPU_FILES for path in sorted(Path("/").glob(pattern))]):
        return None
    return (
        f"training runs on the CPU, although this machine has an NVIDIA GPU ({found[0]}): TensorFlow finds no CUDA. "
        "Run .venv-training/bin/pip install '.[training-gpu]'. If this does not help, run "
        "python -c 'import tensorflow'. CUDA_VISIBLE_DEVICES=-1 trains on the CPU without this warning"
    )


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Return whether this process writes the run directory: the first worker, or the only process."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    chief = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return bool(resolver.task_type == chief and resolver.task_id == 0)


def any_worker(strategy: tf.distribute.Strategy, value: bool) -> bool:
    """Return whether `value` is true in any worker. All workers must call this and get the same result."""
    import tensorflow as tf

    if strategy.cluster_resolver is None or not strategy.cluster_resolver.task_type:
        return value

    @tf.function
    def total(own: tf.Tensor) -> tf.Tensor:
        return strategy.reduce("SUM", strategy.run(tf.identity, args=(own,)), axis=None)

    return bool(total(tf.constant(float(value))) > 0)


def distribute(
    strategy: tf.distribute.Strategy, batch_size: int, dataset_of: Callable[[int, int, int], tf.data.Dataset]
) -> tf.distribute.DistributedDataset:
    """Return batches of `batch_size` rows over all replicas.

    Args:
        strategy: the strategy.
        batch_size: batch size of all replicas together.
        dataset_of: function of one replica's batch size, this worker's shard and the number of shards.

    Raises:
        ConfigError: the batch cannot be divided equally.
    """
    if batch_size % strategy.num_replicas_in_sync:
        raise ConfigError(
            f"Expected batch_size to be a multiple of {strategy.num_replicas_in_sync} replicas. Received: {batch_size}"
        )
    return strategy.distribute_datasets_from_function(
        lambda context: dataset_of(
            context.get_per_replica_batch_size(batch_size), context.input_pipeline_id, context.num_input_pipelines
        )
    )


def set_precision(policy: str | None = None) -> None:
    """Set Keras' policy and log it. The default is bfloat16 with float32 weights if every GPU supports bfloat16."""
    import keras
    import tensorflow as tf

    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    capable = [detail.get("compute_capability", (0, 0)) >= BFLOAT16_CAPABILITY for detail in details]
    policy = policy or ("mixed_bfloat16" if capable and all(capable) else "float32")
    keras.config.set_dtype_policy(policy)
    logger.info("precision: %s", policy)


def _require_workers(tf_config: str) -> None:
    try:
        tree = json.loads(tf_config)
        cluster, task = tree["cluster"], tree["task"]
        known = set(cluster) <= {"chief", "worker"} and task["index"] in range(len(cluster[task["type"]]))
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        example = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
        raise ConfigError(f"Expected TF_CONFIG like {example}. Received: {tf_config[:300]}")
