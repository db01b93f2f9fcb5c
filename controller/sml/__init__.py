"""Life of a virtual infrastructure."""
