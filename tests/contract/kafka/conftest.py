"""The locked broker, for the tests of each way in."""

from tests.support.secured_kafka import locked

__all__ = ["locked"]
