"""Every fault that an update must survive, caused on real hosts: steps × faults, special cases."""
