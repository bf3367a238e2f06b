"""Tag a fashion catalog with Spark: rows -> decoded arrays -> predictions -> a published tags table.

Importing this package is cheap on purpose: executors import it in every Python worker, so tensorflow, openvino,
pyspark and boto3 load inside the functions that need them, after Spark has forked the worker.
"""

__version__ = "0.1.0"
