"""What the controller needs from outside, as protocols: clock, randomness, store, device session, path computer."""
