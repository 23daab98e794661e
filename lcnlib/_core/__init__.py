"""What all is computed with: packed arrays in, packed arrays out; nothing is checked here."""
