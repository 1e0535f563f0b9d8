"""Kafka behind three small protocols: the exactly-once worker, the publisher, the reader."""
