"""The accounting: captured = scored + dropped + dead-lettered + in flight, proven from the topics alone."""
