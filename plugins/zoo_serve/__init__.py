"""A page and an HTTP API for trained models: ``zoo serve``. Needs ``seqzoo[serve]``."""
