"""The commands of `nixfleet`, one file each: their words and options, and how their answers become
an exit code. What they do stands in `nixfleet_core.cli`, and is loaded when they are called.

To add a command NAME, write NAME.py with a click command NAME, which gets the `Setup` by
`click.pass_obj`. Nothing else has to know of it.
"""
