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
    # With one thread the clock is the processor's, which a busy machine disturbs less.
    clock = time.process_time if threads == 1 else time.perf_counter
    ids = [int(x) for x in np.random.default_rng(0).integers(300, 40000, 1500)]
    before = resident()  # of the interpreter, which is not llama.cpp's
    start = clock()
    model = llama.Model(path, repack="norepack" not in options)
    context = llama.Context(model, 512, threads)
    context.prompt(ids[:5]).argmax()
    out["first_ms"] = (clock() - start) * 1e3
    out["rss_first"] = resident() - before
    context.close()

    context = llama.Context(model, 4096, threads, sequences=16)
    for n, times in ((64, 5), (512, 3), (1500, 1)):
        seconds = []
        for _ in range(times):
            context.clear()
            start = clock()
            context.prompt(ids[:n])
            seconds.append(clock() - start)
        out[f"prefill{n}"] = n / statistics.median(seconds)
    steps = 32

    def decode(s, each=lambda logits: None):
        context.clear()
        context.prompt(ids[:128])
        for sequence in range(1, s):
            context.fork(sequence)
        start = clock()
        for step in range(steps):
            each(context.decode([(ids[step * s + i], 128 + step, i, 1) for i in range(s)]))
        return s * steps / (clock() - start)

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
