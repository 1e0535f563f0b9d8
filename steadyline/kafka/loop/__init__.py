"""The exactly-once loop, and the parts of it that a loop which commits elsewhere shares."""
