"""Photos: fetched, recognised, decoded to a square of pixels, each failure a status of its row."""
