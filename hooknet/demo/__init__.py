"""A cohort of generated slides."""
