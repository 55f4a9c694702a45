"""New slides through weights at hand."""
