"""What the bytes of a JPEG or a PNG say about the picture, read without decoding it."""
