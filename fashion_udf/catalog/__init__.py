"""Read a catalog from any source into one schema, and import public datasets."""
