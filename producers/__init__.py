"""Camera producers: cameras in, frames on Kafka out."""
