"""Kafka behind the protocols of ``steadyline.kafka.broker``: Apache Kafka through kafka-python."""
