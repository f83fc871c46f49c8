"""A session with two libraries in one process: a matrix profile with stumpy, and an embedding of its windows with UMAP."""

import hashlib
import json
import time
import warnings

import numpy as np

t0, c0 = time.perf_counter(), time.process_time()
import stumpy  # noqa: E402
import umap  # noqa: E402

t1, c1 = time.perf_counter(), time.process_time()
series = np.cumsum(np.random.default_rng(0).standard_normal(1000))
windows = np.lib.stride_tricks.sliding_window_view(series, 50)[::3].astype(np.float32)


def explore() -> tuple[np.ndarray, np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fixed seed means one thread, says umap
        return stumpy.stump(series, 50), umap.UMAP(n_neighbors=10, random_state=42).fit_transform(windows)


profile, embedding = explore()
t2, c2 = time.perf_counter(), time.process_time()
explore()
t3, c3 = time.perf_counter(), time.process_time()
rounded = np.concatenate([np.round(profile[:, 0].astype(float), 6), np.round(embedding.astype(float), 4).ravel()])
digest = hashlib.sha256(rounded.tobytes()).hexdigest()
clock = {"import_s": t1 - t0, "first_s": t2 - t1, "second_s": t3 - t2}
cpu = {"import_cpu_s": c1 - c0, "first_cpu_s": c2 - c1, "second_cpu_s": c3 - c2}
print(json.dumps({**clock, **cpu, "digest": digest}))
