"""`python -m fashion_udf COMMAND` is `fashion-udf COMMAND`."""

from __future__ import annotations

from fashion_udf.commands.main import main

if __name__ == "__main__":
    main()
