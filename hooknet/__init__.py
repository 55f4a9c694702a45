"""From whole-slide images with sparse annotations to evaluated segmentation maps."""

__version__ = "0.1.0"
