"""Servers that tests start on this machine; no tests are in this folder."""
