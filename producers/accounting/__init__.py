"""Account for every captured frame: sequences, drops and epochs, which survive a crash."""
