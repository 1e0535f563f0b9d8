"""What a subscription is told together instead of at once."""
