"""One file a channel: what it makes of an alert, and how it hands that over."""
