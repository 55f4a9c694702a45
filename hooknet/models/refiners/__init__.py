"""Networks that see a whole slide at low power, and refine its heat map."""
