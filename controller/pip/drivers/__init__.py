"""Hop 7 of 8: one driver per kind of equipment: ROADMs and transponders, data centres, edge switches."""
