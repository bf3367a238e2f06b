"""Ten seeded kernel faults: the golden rows find each of them, in every precision of OpenVINO that a bundle offers."""

from __future__ import annotations

import pytest

from fashion_udf.errors import EngineError
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import golden
from tests.model.engines import kernel_faults


def test_without_a_fault_the_golden_rows_pass(offered: Bundle, precision: str) -> None:
    golden.require(kernel_faults.build(offered, precision, None), offered, "openvino", precision)


@pytest.mark.parametrize("name", kernel_faults.FAULTS)
def test_a_fault_is_found_before_a_product_is_scored(offered: Bundle, precision: str, name: str) -> None:
    faulty = kernel_faults.build(offered, precision, kernel_faults.FAULTS[name])
    with pytest.raises(EngineError, match=f"Expected openvino {precision} to reproduce the golden rows"):
        golden.require(faulty, offered, "openvino", precision)
