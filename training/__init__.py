"""Train, calibrate, evaluate and export the model that `fashion_udf` runs.

Training shares the schema, the photo decoder, the tokenizer and the bundle format with `fashion_udf`, so that training
and scoring use the same pixels and token ids. It never imports the UDF, the job or the snapshot code.
"""

import os

# TensorFlow reads this variable when it is imported. By default oneDNN is off on a CPU without AVX-512.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
