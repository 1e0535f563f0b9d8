"""What the alerts service promises of its deliveries, tried on real processes that are killed."""
