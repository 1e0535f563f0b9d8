"""A real Prometheus with the rules of the line, beside real services."""
