"""What commands said: readable, indexed, known failures named, secrets left out."""
