"""The one release of a run, and the days of its life."""
