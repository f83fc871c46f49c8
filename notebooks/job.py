import aotnb

aotnb.load("waves.aot")

import time

import numpy as np
import waves

signal = np.sin(np.arange(512) * 2 * np.pi * 5 / 512)
began = time.perf_counter()
peak = waves.spectrum(signal, 20).argmax()
print(f"peak at {peak}, first call {time.perf_counter() - began:.3f} s")
print(f"{aotnb.status().compilations} compilations")
