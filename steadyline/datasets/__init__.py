"""Public sets of pictures, laid out as folders that the trainer reads (MVTec layout)."""
