"""The producers: one process captures and publishes the frames of its cameras, and accounts for each."""
