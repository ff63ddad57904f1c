"""Executes the blocks of the documentation's pages; CONTRIBUTING.md has the conventions."""
