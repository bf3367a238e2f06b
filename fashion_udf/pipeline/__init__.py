"""One run: plan, score in chunks, assemble, audit, publish."""
