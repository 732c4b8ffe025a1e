"""A host to talk to, and the way from a look to a verdict."""
