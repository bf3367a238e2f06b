"""Labelled rows: the split of each row, and the readers for training and for measuring."""
