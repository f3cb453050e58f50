"""A small drawn world: creatures, where they are, and what is said of them."""
