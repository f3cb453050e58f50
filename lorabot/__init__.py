"""The front door: the command line, and the only place that may import every package."""
