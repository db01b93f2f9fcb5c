"""Emulated ROADMs and transponder shelves, OpenROADM 2.2.1 dialect."""
