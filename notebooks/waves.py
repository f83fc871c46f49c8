import math

import numba
import numpy as np


@numba.njit
def window(i, n):
    return 0.5 - 0.5 * math.cos(2 * math.pi * i / (n - 1))


@numba.njit
def power(signal, frequency):
    real = imaginary = 0.0
    for i in range(signal.size):
        angle = 2 * math.pi * frequency * i / signal.size
        real += window(i, signal.size) * signal[i] * math.cos(angle)
        imaginary -= window(i, signal.size) * signal[i] * math.sin(angle)
    return real * real + imaginary * imaginary


@numba.njit
def spectrum(signal, count):
    result = np.empty(count)
    for frequency in range(count):
        result[frequency] = power(signal, frequency)
    return result
