"""From weights to maps."""
