"""From facts to a plan, or to a refusal."""
