"""The story of one frame."""
