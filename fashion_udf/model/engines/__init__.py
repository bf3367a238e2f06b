"""Engines that run a bundle's model, one file each. `registry` chooses one by name and checks it on this host."""
