"""Send frames from buffer or spool to the topic, in order, and find what was published before a crash."""
