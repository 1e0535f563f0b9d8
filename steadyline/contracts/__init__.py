"""What goes over the wire, and nothing else: one message per file, the topic registry, the headers."""
