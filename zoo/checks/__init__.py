"""Whether models, tasks and plugins keep what :mod:`zoo.interfaces` promises of them."""
