"""From centres to batches."""
