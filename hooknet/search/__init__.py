"""Which fields of view: curves of single views, a ranking of combinations, halving, a decision."""
