"""Command line: the operator's everyday commands."""
