"""Real neighbours for tests and benchmarks: programs from Debian, and servers made of them."""
