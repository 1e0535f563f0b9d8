"""Every captured frame accounted for: sequences, drops and epochs, kept over a crash."""
