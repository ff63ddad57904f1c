"""Reports on runs as pages: ``zoo report``, and one at the end of ``zoo train``."""
