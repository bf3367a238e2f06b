"""Similar products: publish the nearest embeddings of each product, and audit a catalog with them."""
