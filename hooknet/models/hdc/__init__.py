"""HDC-HRNet: a network of high resolution with deformable convolutions, and its blocks."""
