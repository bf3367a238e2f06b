"""`python -m fashion_udf COMMAND` does the same as `fashion-udf COMMAND`."""

from __future__ import annotations

from fashion_udf.commands.main import main

if __name__ == "__main__":
    main()
