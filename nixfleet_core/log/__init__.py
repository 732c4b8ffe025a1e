"""What commands printed: made readable, indexed, without secrets, with known failures named."""
