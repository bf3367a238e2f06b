"""The model: its architecture, its tokenizer, the bundle that stores it, and the engines that run it."""
