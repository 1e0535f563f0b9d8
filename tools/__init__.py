"""What the Makefile calls: set-up and generated documents."""
