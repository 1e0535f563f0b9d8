"""What must be so for a line to run, looked at one by one: each finding says what to do about it."""
