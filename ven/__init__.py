"""The end node: a sans-I/O OpenADR 2.0b VEN, its durable state and the shell that carries it over HTTPS."""
