"""Choose the precision once, on the driver, so that one table never holds rows of two precisions."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from fashion_udf.model.bundle import Bundle

logger = logging.getLogger(__name__)

AUTO = "auto"

#: The precisions that are faster than f32 if the CPU has one of these instructions (names of Linux), the fastest first.
_INSTRUCTIONS = {
    "int8": {"avx512_vnni", "avx_vnni", "amx_int8"},
    "bf16": {"avx512_bf16", "amx_bf16"},
}


def choose(engine: str, bundle: Bundle) -> str:
    """Return the fastest precision that the bundle offers for an engine and that this host's CPU supports.

    The result is f32 if there is none. The choice and its reason are logged.
    """
    offered, flags = bundle.manifest.engines.get(engine, []), cpu_flags()
    for precision, instructions in _INSTRUCTIONS.items():
        if precision in offered and (matching := sorted(instructions & flags)):
            logger.info("engine.precision auto is %s: the model offers it and the CPU has %s", precision, matching[0])
            return precision
    reasons = [
        f"the model does not offer {precision}" if precision not in offered else f"the CPU has no {precision}"
        for precision in _INSTRUCTIONS
    ]
    logger.info("engine.precision auto is f32: %s", ", ".join(reasons))
    return "f32"


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return the instruction sets of this host's CPU by Linux' names; empty if the system does not list them."""
    try:
        match = re.search(r"^flags\s*:(.*)$", cpuinfo.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    except OSError:  # not Linux
        return frozenset()
    return frozenset(match[1].split()) if match else frozenset()
