"""Tables and comparisons of runs, and sweeps over settings: ``zoo runs``, ``compare``, ``sweep``."""
