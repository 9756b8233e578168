"""Modules of torch as programs; getting one by its name runs its author's code."""
