"""What runs on hosts, in sh, and how it is put together."""
