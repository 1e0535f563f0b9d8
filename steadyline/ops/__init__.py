"""What an operator asks of a running line: its accounts, one frame's way, its health, its dead letters."""
