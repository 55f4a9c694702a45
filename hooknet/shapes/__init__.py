"""What networks look like, as arithmetic without torch."""
