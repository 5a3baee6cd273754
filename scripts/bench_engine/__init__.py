"""The parts of `bench_engine.py`: texts, peers, rounds, the table, and hard texts."""
