"""The story of one frame, told from the topics alone."""
