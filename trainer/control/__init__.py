"""What decides and supervises: commands, reasons to train, the child processes. No torch in here."""
