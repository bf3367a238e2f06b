"""Evaluation of a model: measures, tables, pictures and a page."""
