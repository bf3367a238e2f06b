"""Fetch photos, recognise their format, and decode them to a square of pixels. Each failure is a status of its row."""
