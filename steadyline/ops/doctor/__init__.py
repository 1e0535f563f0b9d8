"""Check everything that a line needs, one by one; each finding says what to do about it."""
