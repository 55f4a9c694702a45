"""Volumes of radiology become slices that the pipeline reads like slides."""
