"""The weights file, and the networks in it."""
