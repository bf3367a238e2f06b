"""The catalog: any source to rows of one shape, and public datasets brought into that shape."""
