"""The commands of docs/clusters.md on real clusters, which the tests start on this machine."""
