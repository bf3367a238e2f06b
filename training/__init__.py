"""Train, calibrate, evaluate and export the model that `fashion_udf` runs.

Shares the schema, the photo decoder, the tokenizer and the bundle format with `fashion_udf`, so training and scoring
see the same pixels and the same token ids. Never imports the UDF, the job or the snapshot code.
"""

import os

# TensorFlow reads it when it is imported. By default it leaves oneDNN off where a CPU has no AVX-512.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
