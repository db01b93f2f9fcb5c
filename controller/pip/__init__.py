"""Hop 7 of 8: a provider's inventory, offers, reservations and drivers."""
