"""Hop 1 of 8: generated messages to domain types and back; nothing else sees both."""
