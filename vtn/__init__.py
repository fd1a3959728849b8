"""The top node: an OpenADR 2.0b VTN with an operator API; SQLite or PostgreSQL."""
