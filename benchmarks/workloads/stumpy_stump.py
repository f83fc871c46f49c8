"""Matrix profile of a random walk with stumpy."""

import hashlib
import json
import time

import numpy as np

t0 = time.perf_counter()
import stumpy  # noqa: E402

t1 = time.perf_counter()
series = np.cumsum(np.random.default_rng(0).standard_normal(1000))
first = stumpy.stump(series, 50)
t2 = time.perf_counter()
stumpy.stump(series, 50)
t3 = time.perf_counter()
digest = hashlib.sha256(np.ascontiguousarray(np.round(first[:, 0].astype(float), 6)).tobytes()).hexdigest()
print(json.dumps({"import_s": t1 - t0, "first_s": t2 - t1, "second_s": t3 - t2, "digest": digest}))
