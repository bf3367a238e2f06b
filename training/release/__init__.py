"""Make a bundle of a trained model: golden rows, OpenVINO, int8, parity, model card."""
