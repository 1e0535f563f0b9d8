"""Sources of pictures: folders, cameras and streams, and synthetic ones, which are opened from an address."""
