"""Spark itself: the session with its pinned settings, and several queries at a time."""
