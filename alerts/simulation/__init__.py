"""Other rules over the same messages: what would have differed, and why one frame opened no incident."""
