"""The pieces of ``python -m bench.line``: one line, one question a file."""
