"""What a model gets right: measures, tables, pictures and a page."""
