"""The invariant audit: what all parties say, held against what devices and data centres have, read independently."""
