"""Events to limits to devices: programme, plan, arbiter, allocation, supervision, proof, telemetry upstream."""
