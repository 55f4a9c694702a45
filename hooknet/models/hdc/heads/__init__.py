"""Heads that refine the logits of an HDC-HRNet."""
