"""The child's work, from an order to a model package; only the order's description does without torch."""
