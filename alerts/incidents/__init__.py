"""What an incident is, and the rules that open, change and close one: pure, no clock, no database."""
