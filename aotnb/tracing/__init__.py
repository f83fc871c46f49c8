"""Recording what Numba compiles. Imports core, bridge and errors; never compiles, prints or changes anything itself."""
