"""Turns scores, camera statuses and model events into incidents, and tells people and machines of them."""
