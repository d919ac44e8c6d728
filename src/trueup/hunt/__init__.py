"""The hunt: the real engine, its adapters and its streams inside a deterministic simulation, and a judge that knows the truth.

Everything between the engine and the machine is simulated: time, the network, the venue, the database, the process. One seed
is one run, the same in every process. See docs/simulation.md.
"""
