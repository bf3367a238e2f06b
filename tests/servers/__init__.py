"""Servers that tests start on this machine's loopback address, each once a session and only if a test asks for it."""
