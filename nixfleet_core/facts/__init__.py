"""What is known about a host, and how its answers are read."""
