"""How fast the app is, each figure beside that of a peer in the same run: `make bench`."""
