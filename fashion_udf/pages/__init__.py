"""Pages for people: the page of each run, and the review."""
