"""What decides and supervises: commands, reasons to train, the child processes. It imports no torch."""
