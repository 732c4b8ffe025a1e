"""Every fault that an update must survive, caused for real: steps × faults, and special cases."""
