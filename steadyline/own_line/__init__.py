"""A line of one's own on one machine: write its line file, and run all of it in one terminal."""
