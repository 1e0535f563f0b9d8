"""The in-memory twin of the broker, for tests and for work without servers."""
