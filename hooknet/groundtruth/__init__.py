"""From annotations to label masks and patch centres."""
