"""One training run: recipe, strategy, step, loop, checkpoints, calibration."""
