"""Polynomials and their factors: packed arrays in, packed arrays out."""
