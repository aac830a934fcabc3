#!/usr/bin/env python3
"""One worker and two on a run in PostgreSQL, 32 calls in flight each, 200 ms upstream; and two under a shared rate limit.

  workers.py GNOTHI MOCK postgres://USER@HOST/DATABASE [--work DIR] [--rounds N]

MOCK is the program of bench/eval/mock. The database is one that may be written to; runs are left in it.
What is counted is what the mock saw in a stretch of time in which all workers were at it.
"""
import argparse
import json
import os
import signal
import subprocess
import time
import urllib.parse
import urllib.request

MOCK = "http://127.0.0.1:8124"
args = argparse.ArgumentParser(usage=__doc__)
args.add_argument("gnothi")
args.add_argument("mock")
args.add_argument("store")
args.add_argument("--work", default="/tmp/gnothi-bench-workers")
args.add_argument("--rounds", type=int, default=2)
args = args.parse_args()


def stats():
    return json.loads(urllib.request.urlopen(MOCK + "/stats", timeout=30).read())


def reset(**behaviour):
    urllib.request.urlopen(urllib.request.Request(MOCK + "/set?" + urllib.parse.urlencode(behaviour), method="POST"), timeout=30).read()


def data(n):
    folder = f"{args.work}/data"
    os.makedirs(folder, exist_ok=True)
    with open(folder + "/questions.jsonl", "w") as f:
        for i in range(n):
            f.write(json.dumps({"id": f"q{i}", "question": f"Question {i}: how many crates is {100 + i} + {10 + i % 900}?", "answers": [str(110 + i + i % 900)], "reads": "number"}) + "\n")
    return folder


def start(*command):
    return subprocess.Popen([args.gnothi, "eval", *command, "--store", args.store, "--quiet"], cwd=args.work, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def begin(workers, n, *more):
    """Starts so many workers on a new run; the first makes it."""
    name = f"bench-{time.time_ns()}"
    began = time.time()
    ps = [start("run", "qa", "--model", f"openai:mock@{MOCK}/v1", "--data", data(n), "--out", name, "--concurrency", "32", *more)]
    while stats()["requests"] == 0:
        if ps[0].poll() is not None:
            raise SystemExit(ps[0].stderr.read())
        time.sleep(0.02)
    first = time.time() - began
    for _ in range(workers - 1):
        ps.append(start("work", name, "--concurrency", "32"))
    return name, ps, first


def end(ps):
    for p in ps:
        if p.poll() is None:
            p.send_signal(signal.SIGINT)
    began = time.time()
    for p in ps:
        p.wait(60)
    return time.time() - began


def cpu(ps):
    total = 0.0
    for p in ps:
        fields = open(f"/proc/{p.pid}/stat").read().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def pace(workers, seconds=8.0):
    reset(latency="200ms", wrong=300)
    _, ps, first = begin(workers, 20000)
    while stats()["most_in_flight"] < 0.9 * 32 * workers:
        time.sleep(0.05)
    time.sleep(1)
    a, at, used = stats(), time.time(), cpu(ps)
    time.sleep(seconds)
    b, used = stats(), cpu(ps) - used
    rate = (b["ok"] - a["ok"]) / (time.time() - at)
    left = end(ps)
    print(f"{workers} x 32 at 200 ms: {rate:6.1f} answers/s, in flight {b['mean_in_flight']:5.1f} mean {b['most_in_flight']} most, {1000 * used / max(1, b['ok'] - a['ok']):.2f} CPU-ms/item, "
          f"again {b['again']}, first request {first:.2f} s, given back in {left:.2f} s, load {os.getloadavg()[0]:.1f}", flush=True)
    return rate


def limited(rpm, seconds=20.0):
    reset(latency="200ms", wrong=300)
    _, ps, _ = begin(2, 20000, "--rpm", str(rpm))
    seen, began = [], time.time()
    while time.time() - began < seconds:
        s = stats()
        seen.append((time.time(), s["requests"]))
        time.sleep(0.1)
    end(ps)
    whole = (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0]) * 60
    most = max((r2 - r1) / (t2 - t1) * 60 for t1, r1 in seen for t2, r2 in seen if 5 <= t2 - t1 <= 5.3)
    print(f"2 x 32 at 200 ms, --rpm {rpm} for both: {whole:.0f} requests a minute over {seconds:.0f} s, {most:.0f} in the busiest five seconds "
          f"(a second's worth may be saved up: {rpm * 1.2:.0f})", flush=True)


os.makedirs(args.work, exist_ok=True)
os.environ.setdefault("OPENAI_API_KEY", "none")
upstream = subprocess.Popen([args.mock, "-addr", MOCK.removeprefix("http://")])
try:
    time.sleep(1)
    for _ in range(args.rounds):
        one, two = pace(1), pace(2)
        print(f"    two do {two / one:.2f} times what one does", flush=True)
    limited(3000)
finally:
    upstream.terminate()
    upstream.wait()
