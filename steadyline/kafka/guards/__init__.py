"""What is watched while a client runs: positions, topics, members, time."""
