"""What people see of a line beside its incidents, and what they may order."""
