"""`fashion-udf training-set` for spark-submit: `spark-submit jobs/make_training_set.py --help` lists its arguments."""

from __future__ import annotations

from fashion_udf import cli
from fashion_udf.commands import training_set

if __name__ == "__main__":
    cli.run(training_set.main)
