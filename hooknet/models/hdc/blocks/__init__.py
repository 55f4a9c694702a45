"""The blocks that HDC-HRNet can be made of: each maps (B, C, H, W) to the same size, whatever C, H and W."""
