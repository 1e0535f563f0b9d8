"""What each part of a detector is worth: one file a detector, run by hand."""
