"""What made an answer: ``zoo explain``."""
