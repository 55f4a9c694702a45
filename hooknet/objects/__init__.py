"""From maps to objects: connected regions, their outlines and areas, and how they match those of a truth."""
