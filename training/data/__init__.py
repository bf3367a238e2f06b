"""Labelled rows: which split each belongs to, and how training reads them."""
