"""Stands in for hardware: ROADMs, transponders, data centres and edge switches that speak their own protocols."""
