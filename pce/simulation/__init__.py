"""Dynamic provisioning studies: how many requests a network refuses under a load, by simulation."""
