"""Times llama.cpp on a model file, once, and prints what it saw as JSON, as bench/engine/speed does for the engine here.

usage: one.py FILE THREADS [norepack]
"""
import json
import statistics
import sys
import time

import numpy as np

import llama


def resident():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmRSS"))


def main(path, threads, *options):
    threads, out = int(threads), {}
    ids = [int(x) for x in np.random.default_rng(0).integers(300, 40000, 1500)]
    before = resident()  # of the interpreter, which is not llama.cpp's
    start = time.perf_counter()
    model = llama.Model(path, repack="norepack" not in options)
    context = llama.Context(model, 512, threads)
    context.prompt(ids[:5]).argmax()
    out["first_ms"] = (time.perf_counter() - start) * 1e3
    out["rss_first"] = resident() - before
    context.close()

    context = llama.Context(model, 4096, threads, sequences=16)
    for n, times in ((64, 5), (512, 3), (1500, 1)):
        seconds = []
        for _ in range(times):
            context.clear()
            start = time.perf_counter()
            context.prompt(ids[:n])
            seconds.append(time.perf_counter() - start)
        out[f"prefill{n}"] = n / statistics.median(seconds)
    steps = 32

    def decode(s, each=lambda logits: None):
        context.clear()
        context.prompt(ids[:128])
        for sequence in range(1, s):
            context.fork(sequence)
        start = time.perf_counter()
        for step in range(steps):
            each(context.decode([(ids[step * s + i], 128 + step, i, 1) for i in range(s)]))
        return s * steps / (time.perf_counter() - start)

    for s in (1, 8, 16):
        out[f"decode{s}"] = decode(s)
    out["rss_end"] = resident() - before

    def statistics_of(logits):  # what the engine here gives with every token
        x = logits.astype(np.float32)
        x -= x.max(-1, keepdims=True)
        e = np.exp(x)
        z = e.sum(-1)
        return np.log(z) - (e * x).sum(-1) / z

    out["decode1_statistics"] = decode(1, statistics_of)
    print(json.dumps(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
