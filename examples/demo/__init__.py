"""The whole chain on one machine: VTN, bridge and 20 simulated chargers as separate processes on loopback."""
