"""The configuration of a job, for a command that needs no more of it than where S3 is."""

from __future__ import annotations

import argparse

from fashion_udf import cli, config
from fashion_udf.config import JobConfig
from fashion_udf.table import s3_store


def add(parser: cli.ArgumentParser) -> None:
    """Add `--output`, `--config` and `--set` to the arguments of a command."""
    parser.add_argument("--output", required=True, help="the output.path of the job that publishes the table")
    parser.add_config("YAML file of that job, for its section s3", required=False)


def use_s3(options: argparse.Namespace) -> None:
    """Use the S3 of the configuration from now on; what the environment says where none is given.

    Raises:
        ConfigError: the configuration cannot be read, or is wrong.
    """
    if options.config:
        s3_store.use(config.load(JobConfig, options.config, config.parse_overrides(options.set)).s3)
