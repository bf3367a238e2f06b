"""Train, calibrate, evaluate and export the model that `fashion_udf` runs.

Shares the schema, the photo decoder, the tokenizer and the bundle format with `fashion_udf`, so training and scoring
see the same pixels and the same token ids. Never imports the UDF, the job or the snapshot code.
"""

import os

# Set before TensorFlow is imported, which reads it then. By default oneDNN is off on a CPU without AVX-512.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
