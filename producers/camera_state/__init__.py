"""What state a camera is in, judged by its rate and its pictures."""
