"""Composition roots: where each process is put together. Only the command line and the demo import from here."""
