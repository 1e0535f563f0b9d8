"""The wire, and nothing but the wire: one message a file, the topic registry, the headers."""
