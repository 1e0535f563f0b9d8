"""Who is told of what, and through which channel."""
