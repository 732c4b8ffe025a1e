"""Conversations with hosts, and the way from a look to a verdict."""
