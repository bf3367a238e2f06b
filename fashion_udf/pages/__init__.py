"""Pages that people look at: the page of each run, and the review."""
