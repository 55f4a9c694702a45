"""One command per step of the pipeline."""
