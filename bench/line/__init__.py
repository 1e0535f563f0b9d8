"""The pieces of ``python -m bench.scorer``: one line, one question a file."""
