"""Similar products: the nearest embeddings of each product, beside the tags, and what they tell of a catalog."""
