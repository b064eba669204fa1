"""Empty: the library of 0.1 imports it, and a stock Pico has none."""
