"""Engines that run a bundle's model, each in one file; `registry` chooses one by name and proves it on this host."""
