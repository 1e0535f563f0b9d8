"""What the accounts of a release may do, and what the trainer does with its own."""
