"""Pure ring: identifiers, spectrum, media channels and errors; imports nothing of ours."""
