import aotnb

aotnb.activate()
import numba
import numpy as np


@numba.njit
def clip(x, low, high):
    return np.minimum(np.maximum(x, low), high)


clip(np.arange(5.0), 1, 3)
clip(np.arange(5.0), 1.0, 3.0)
clip(np.arange(5), 1, 3)
growth = aotnb.roots("clip", growth=True)
print(growth[growth["function"] == "clip"].to_string())
aotnb.save("floats_first.aot")
