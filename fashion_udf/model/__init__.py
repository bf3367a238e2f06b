"""The model: its architecture, its tokenizer, the bundle it travels in, and the engines that run it."""
