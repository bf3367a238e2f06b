"""Spark: the session with its pinned settings, memory checks, and concurrent queries."""
