"""How much the longest tests do: little in `make test`, all of it in `make soak`, which takes hours."""

from __future__ import annotations

import os

SOAK = os.environ.get("SOAK") == "1"
