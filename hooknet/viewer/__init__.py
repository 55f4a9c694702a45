"""Slides with their label masks and maps in a browser: as a local server, or as a page in files."""
