"""Augmentation, the same for all views of a patch and their labels."""
