"""What a job or a host has proven, and why it has not."""
