"""The tags table: snapshots, the log of commits that makes them count, and what looks after both."""
