"""How long a test waits for what should come. Early, it costs nothing; a busy machine needs it."""

PATIENCE_S = 60.0
