"""The two files a user edits, read strictly."""
