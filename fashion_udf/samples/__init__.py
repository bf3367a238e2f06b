"""A generated catalog to try the job with: drawn garments, and broken photos as in real catalogs."""
