"""Kernels for benchmarks/steady_state.py: ``KERNELS`` maps a name to a function without arguments that runs one of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import arguments
import numpy as np
from numba import guvectorize, njit, prange, stencil, types, vectorize
from numba.experimental import jitclass
from numba.typed import Dict, List

KERNELS: dict[str, Callable[[], Any]] = {}


def kernel(name: str, function: Any, *args: Any) -> None:
    """Register a call."""
    kept = arguments.KEPT.setdefault(name, args)
    KERNELS[name] = lambda: function(*kept)


_rng = np.random.default_rng(5)
_x, _y = _rng.random(20_000), _rng.random(20_000)
_square = _rng.random((80, 80))
_grid = (_rng.random((100, 100)) > 0.5).astype(np.int64)

_body = np.dtype([("p", np.float64, (3,)), ("v", np.float64, (3,)), ("m", np.float64)], align=True)
_bodies = np.zeros(8, _body)
_bodies["p"], _bodies["m"] = _rng.normal(size=(8, 3)), 1.0


@njit
def nbody_records(b, dt, steps):
    for _ in range(steps):
        for i in range(b.size):
            for j in range(i + 1, b.size):
                d = b[i].p - b[j].p
                mag = dt / (d[0] ** 2 + d[1] ** 2 + d[2] ** 2 + 0.01) ** 1.5
                b[i].v -= d * (b[j].m * mag)
                b[j].v += d * (b[i].m * mag)
        for i in range(b.size):
            b[i].p += dt * b[i].v


kernel("n-body, records", nbody_records, _bodies, 1e-9, 20)


@njit
def nbody_arrays(p, v, m, dt, steps):
    for _ in range(steps):
        for i in range(len(m)):
            for j in range(i + 1, len(m)):
                dx, dy, dz = p[i, 0] - p[j, 0], p[i, 1] - p[j, 1], p[i, 2] - p[j, 2]
                mag = dt / math.sqrt(dx * dx + dy * dy + dz * dz + 0.01) ** 3
                v[i, 0] -= dx * m[j] * mag
                v[i, 1] -= dy * m[j] * mag
                v[i, 2] -= dz * m[j] * mag
                v[j, 0] += dx * m[i] * mag
                v[j, 1] += dy * m[i] * mag
                v[j, 2] += dz * m[i] * mag
        for i in range(len(m)):
            for k in range(3):
                p[i, k] += dt * v[i, k]


kernel("n-body, arrays", nbody_arrays, _rng.normal(size=(40, 3)), np.zeros((40, 3)), np.ones(40), 1e-9, 5)


@njit
def mandelbrot(n, limit):
    out = np.zeros((n, n), np.int32)
    for i in range(n):
        for j in range(n):
            c, z = complex(-2 + 3 * j / n, -1.5 + 3 * i / n), 0j
            while out[i, j] < limit and abs(z) < 2:
                z = z * z + c
                out[i, j] += 1
    return out


kernel("Mandelbrot", mandelbrot, 40, 50)


@njit(parallel=True)
def mandelbrot_parallel(n, limit):
    out = np.zeros((n, n), np.int32)
    for i in prange(n):
        for j in range(n):
            c, z = complex(-2 + 3 * j / n, -1.5 + 3 * i / n), 0j
            while out[i, j] < limit and z.real * z.real + z.imag * z.imag < 4:
                z = z * z + c
                out[i, j] += 1
    return out


kernel("Mandelbrot, parallel", mandelbrot_parallel, 60, 50)


@njit
def cnd(x):
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@njit
def black_scholes(s, k, t):
    out = np.empty(s.size)
    for i in range(s.size):
        d = (math.log(s[i] / k) + 0.07 * t) / (0.3 * math.sqrt(t))
        out[i] = s[i] * cnd(d) - k * math.exp(-0.025 * t) * cnd(d - 0.3 * math.sqrt(t))
    return out


kernel("Black-Scholes", black_scholes, 80 + 40 * _x[:3000], 100.0, 0.5)


@vectorize(["float64(float64,float64,float64)"])
def option(s, k, t):
    d = (math.log(s / k) + 0.07 * t) / (0.3 * math.sqrt(t))
    return s * cnd(d) - k * math.exp(-0.025 * t) * cnd(d - 0.3 * math.sqrt(t))


kernel("Black-Scholes, ufunc", option, 80 + 40 * _x[:3000], 100.0, 0.5)


@vectorize
def huber(x):
    return 0.5 * x * x if abs(x) < 1 else abs(x) - 0.5


kernel("Huber loss, ufunc", huber, _x * 4)


@guvectorize(["void(float64[:], float64[:], float64[:])"], "(n),(m)->(n)")
def convolve(x, k, out):
    for i in range(x.size):
        out[i] = 0.0
        for j in range(k.size):
            if i >= j:
                out[i] += x[i - j] * k[j]


kernel("convolution, gufunc", convolve, _rng.random((10, 500)), np.ones(8))


@stencil
def jacobi(a):
    return 0.25 * (a[-1, 0] + a[1, 0] + a[0, -1] + a[0, 1])


@njit
def relax(a, n):
    for _ in range(n):
        a = jacobi(a)
    return a


kernel("Jacobi, stencil", relax, _square, 5)


@njit
def life(grid, steps):
    n, m = grid.shape
    for _ in range(steps):
        after = np.zeros_like(grid)
        for i in range(n):
            for j in range(m):
                around = -grid[i, j]
                for di in (-1, 0, 1):
                    for dj in (-1, 0, 1):
                        around += grid[(i + di) % n, (j + dj) % m]
                after[i, j] = 1 if around == 3 or (around == 2 and grid[i, j]) else 0
        grid = after
    return grid


kernel("game of life", life, _grid, 2)


@njit
def fft(x):
    n = x.size
    out, half = np.empty(n, np.complex128), n // 2
    if n == 1:
        out[0] = x[0]
        return out
    even, odd = fft(x[0::2].copy()), fft(x[1::2].copy())
    for k in range(half):
        angle = -2 * math.pi * k / n
        term = complex(math.cos(angle), math.sin(angle)) * odd[k]
        out[k], out[k + half] = even[k] + term, even[k] - term
    return out


kernel("FFT", fft, (_x[:1024] + 0j))


@njit
def multiply(a, b):
    out = np.zeros((a.shape[0], b.shape[1]))
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                out[i, j] += a[i, k] * b[k, j]
    return out


kernel("matrix product, loops", multiply, _square, _square)
kernel("matrix product, BLAS", njit(lambda a: a @ a), _square)


@njit
def total(a):
    s = 0.0
    for value in a:
        s += value
    return s


@njit(fastmath=True)
def fast_total(a, b):
    s = 0.0
    for i in range(a.size):
        s += a[i] * b[i]
    return s


kernel("sum", total, _x)
kernel("dot product, fastmath", fast_total, _x, _y)
kernel("norm, array expression", njit(lambda a, b: np.sqrt(np.sum((a - b) ** 2)) + np.max(a)), _x, _y)
kernel("sin, exp and pow", njit(lambda a: np.sin(a) + np.exp(a) + a**1.7), _x[:3000])


@njit
def quicksort(a, lo, hi):
    if lo < hi:
        p, i, j = a[(lo + hi) // 2], lo, hi
        while i <= j:
            while a[i] < p:
                i += 1
            while a[j] > p:
                j -= 1
            if i <= j:
                a[i], a[j] = a[j], a[i]
                i += 1
                j -= 1
        quicksort(a, lo, j)
        quicksort(a, i, hi)


_unsorted = _x[:3000]
KERNELS["quicksort"] = lambda: quicksort(_unsorted.copy(), 0, _unsorted.size - 1)
kernel("np.sort", njit(lambda a: np.sort(a)), _x[:3000])  # noqa: PLW0108


@njit
def word_count(text):
    d = Dict.empty(types.unicode_type, types.int64)
    for w in text.lower().split(" "):
        w = w.strip(".,")
        d[w] = d.get(w, 0) + 1
    return len(d)


kernel("word count, typed dict", word_count, "the quick brown fox. the lazy dog, the end." * 5)


@njit
def distance(a, b):
    row = np.arange(len(b) + 1)
    for i in range(len(a)):
        before = row.copy()
        row[0] = i + 1
        for j in range(len(b)):
            row[j + 1] = min(before[j + 1] + 1, row[j] + 1, before[j] + (a[i] != b[j]))
    return row[-1]


kernel("edit distance", distance, "kitten sitting on the mat" * 2, "sitting kitten at the mall" * 2)


@njit
def k_means(points, k, steps):
    centres = points[:k].copy()
    label = np.zeros(points.shape[0], np.int64)
    for _ in range(steps):
        for i in range(points.shape[0]):
            label[i] = np.argmin(np.sum((centres - points[i]) ** 2, axis=1))
        for j in range(k):
            if np.any(label == j):
                for d in range(points.shape[1]):
                    centres[j, d] = points[label == j][:, d].mean()
    return centres


kernel("k-means", k_means, _rng.normal(size=(100, 3)), 3, 3)


@jitclass([("w", types.float64[:, ::1]), ("history", types.ListType(types.float64))])
class Ridge:
    """Linear regression."""

    def __init__(self, p):
        self.w = np.zeros((p, 1))
        self.history = List.empty_list(types.float64)

    def fit(self, x, y, penalty):
        """Solve and return the error."""
        self.w = np.ascontiguousarray(np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y.reshape(-1, 1)))
        r = x @ self.w - y.reshape(-1, 1)
        self.history.append(np.sqrt(np.sum(r**2)))
        return self.history[-1]


_ridge = Ridge(4)
kernel("ridge regression, jitclass", _ridge.fit, _rng.normal(size=(60, 4)), _x[:60], 0.1)


@njit
def guarded(x):
    try:
        if x < 0:
            raise ValueError("negative")
        return "sqrt=" + str(int(np.sqrt(x)))
    except Exception:  # noqa: BLE001  Numba knows no other
        return "bad"


@njit
def guard_all(a):
    n = 0
    for x in a:
        n += len(guarded(x))
    return n


kernel("exceptions and text", guard_all, _x[:300] * 200 - 100)


@njit
def group(keys, values):
    g = Dict.empty(types.int64, types.float64)
    for k, v in zip(keys, values):  # noqa: B905
        g[k] = g.get(k, 0.0) + v
    return sorted([(k, v) for k, v in g.items()]), len(set(keys % 3))


kernel("group by, dict and set", group, np.arange(2000) % 37, _x[:2000])


@njit
def sieve(n):
    prime = np.ones(n, np.bool_)
    for i in range(2, int(math.sqrt(n)) + 1):
        if prime[i]:
            for j in range(i * i, n, i):
                prime[j] = False
    return prime.sum()


kernel("sieve", sieve, 20_000)


@njit
def shortest(d):
    d = d.copy()
    for k in range(d.shape[0]):
        for i in range(d.shape[0]):
            for j in range(d.shape[0]):
                d[i, j] = min(d[i, j], d[i, k] + d[k, j])
    return d


kernel("Floyd-Warshall", shortest, _square)


@njit
def random_walk(n):
    np.random.seed(1)
    x = 0.0
    for _ in range(n):
        x += np.random.normal() * np.random.random()
    return x


kernel("random numbers", random_walk, 3000)
