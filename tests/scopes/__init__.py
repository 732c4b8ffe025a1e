"""Whether a function of the host scripts overwrites a variable that somebody still reads, and
whether bash 3.2 can run each script.

All functions of a script share one set of variables. Their names keep them apart. `python -m
scopes` in `tests` checks each script as it is sent to a host.
"""
