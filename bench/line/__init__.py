"""The parts of ``python -m bench.line``: each file puts one question to a line."""
