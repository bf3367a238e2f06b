"""A generated catalog to try the job on: drawn garments, and photos as broken as real ones get."""
