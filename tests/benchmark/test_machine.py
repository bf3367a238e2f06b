"""What the figures depend on."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.benchmark import machine
from tests.submit import REPOSITORY


def test_the_facts_name_machine_versions_and_commit_and_can_be_written_as_json(tmp_path: Path) -> None:
    facts = machine.facts(REPOSITORY)
    assert facts["cores"] == os.cpu_count()
    assert facts["cpu"] and facts["memory_bytes"] > 2**28  # type: ignore[operator]
    assert json.loads(json.dumps(facts))["libraries"].keys() >= {"pyspark", "openvino", "pillow"}
    assert machine.facts(tmp_path)["commit"] == ""  # not a checkout


def test_a_table_says_that_files_differ_from_the_commit() -> None:
    facts: dict[str, object] = {"cpu": "EPYC", "cores": 2, "flags": ["avx2", "avx_vnni"], "commit": 40 * "a"}
    assert machine.line({**facts, "changed_files": []}) == "EPYC, 2 cores (avx2 avx_vnni); commit aaaaaaaaaa"
    assert machine.line({**facts, "changed_files": [" M x", " M y"]}).endswith("commit aaaaaaaaaa with 2 changed files")
