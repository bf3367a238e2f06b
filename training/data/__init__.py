"""Labelled rows: their split, and the readers for training and for measuring."""
