"""What the Helm chart makes of each set of values."""
