"""A stand-in for launchd of one user, as far as agents need it. tools/launchctl.py speaks with it.

It remembers a job as it was loaded, even if the plist changes; it starts, throttles and restarts as
the plist says, and ends a job with its whole process group. It starts nothing by time or by path.
"""
