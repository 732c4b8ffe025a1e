"""A report on an incident: what jobs did to hosts, as one text for people who were not there."""
