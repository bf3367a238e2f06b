"""A trained model to a bundle: golden rows, OpenVINO, int8, parity, the model card."""
