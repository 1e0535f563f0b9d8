"""A companion stands beside a learned detector in one graph: its certified score is an output of its own."""
