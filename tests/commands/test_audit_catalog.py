"""The command of the catalog audit: what it refuses before it starts Spark."""

from __future__ import annotations

import pytest

from fashion_udf.commands import audit_catalog
from fashion_udf.errors import InputError


def test_findings_are_written_on_this_machine_alone() -> None:
    with pytest.raises(InputError, match=r"Expected a directory of this machine for --to. Received: s3://shop/audit"):
        audit_catalog.main(["--config", "conf/nightly.yaml", "--to", "s3://shop/audit"])
