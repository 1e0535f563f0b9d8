"""The trainer fits, attacks, gates, promotes and monitors models."""
