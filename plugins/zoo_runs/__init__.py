"""Tables and comparisons of runs, and sweeps: ``zoo runs``, ``zoo compare``, ``zoo sweep``."""
