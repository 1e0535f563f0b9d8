"""From a buffer or the spool to the topic, in order; and what was published before a crash."""
