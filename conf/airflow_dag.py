"""The nightly run as an Airflow DAG. Copy it into the DAG folder, and set the first three constants.

Any scheduler does the same: run the command, and look at its exit code.

    0   published, or nothing to do
    2   the configuration or the input is wrong: running again changes nothing, somebody must look
    3   the audit refused the table: yesterday's stays published, somebody must look
    4   other runs published first, several times over: run again
    143 stopped by SIGTERM: run again, it goes on where it stopped
    1   anything else, a lost machine for instance: run again, it goes on where it stopped
"""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta

from airflow.exceptions import AirflowException, AirflowFailException
from airflow.sdk import dag, task

PROJECT = "/opt/fashion-udf"
CATALOG = "/data/catalog"
TAGS = "/data/tags"

TAG = [f"{PROJECT}/.venv/bin/spark-submit", "jobs/tag_catalog.py", "--config", "conf/nightly.yaml"]
TAG += ["--set", f"input.path={CATALOG}", "--set", f"output.path={TAGS}"]
EXPIRE = [f"{PROJECT}/.venv/bin/python", "jobs/snapshots.py", "expire", "--output", TAGS, "--older-than", "30d"]


def run(command: list[str]) -> None:
    """Run a command of the project; a failure that a retry cannot mend is final."""
    code = subprocess.run(command, cwd=PROJECT, check=False).returncode
    if code in (2, 3):
        raise AirflowFailException(f"exit code {code}: see the last lines above")
    if code:
        raise AirflowException(f"exit code {code}")


@dag(
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,  # a run tags today's catalog, so there is nothing to catch up with
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=15)},
)
def fashion_tags() -> None:
    """Tag the catalog, then remove what is old."""
    tag = task(run, task_id="tag")
    expire = task(run, task_id="expire")
    tag(TAG) >> expire(EXPIRE)


fashion_tags()
