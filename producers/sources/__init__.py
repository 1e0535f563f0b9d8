"""Where pictures come from: folders, cameras and streams, synthetic ones; opened from an address."""
