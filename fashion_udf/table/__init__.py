"""The tags table: its snapshots, the log of commits that publishes them, and their maintenance."""
