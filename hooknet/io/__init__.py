"""Files: slides, annotations, rasters, tables."""
