"""Results for people (tables) and for scripts (documents)."""
