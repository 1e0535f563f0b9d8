"""A line's topics, positions, store, folders and database as files, and back again."""
