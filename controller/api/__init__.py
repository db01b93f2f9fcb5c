"""Hop 1 of 8: what all gRPC servers share."""
