#!/usr/bin/env python3
"""Runs of `gnothi eval run qa` and of the bare loop against the mock, one after the other. See README.md.

  run.py GNOTHI [SCENARIO ...] [--work DIR] [--rounds N] [--items N]

Scenarios: cost flight memory resume rest kill faults limits. Without any: all but memory at its full size.
Prints one line a run; processor time and memory are the program's own, the rest is what the mock counted.
"""
import argparse
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import time
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
MOCK = "http://127.0.0.1:8123"
QUIET = {"latency": "0s", "p429": 0, "p500": 0, "retry-after": "", "bears": 0, "fail": 0, "refuse": 0, "empty": 0, "unparsed": 0, "wrong": 300}

args = argparse.ArgumentParser(usage=__doc__)
args.add_argument("gnothi")
args.add_argument("scenarios", nargs="*")
args.add_argument("--work", default="/tmp/gnothi-bench-eval")
args.add_argument("--rounds", type=int, default=2)
args.add_argument("--items", type=int, default=10000)
args = args.parse_args()


def post(path):
    urllib.request.urlopen(urllib.request.Request(MOCK + path, method="POST"), timeout=30).read()


def stats():
    return json.loads(urllib.request.urlopen(MOCK + "/stats", timeout=30).read())


def mock(**behaviour):
    post("/set?" + urllib.parse.urlencode({**QUIET, **{k.replace("_", "-"): v for k, v in behaviour.items()}}))


def data(n):
    folder = f"{args.work}/data/{n}"
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(folder + "/questions.jsonl"):
        with open(folder + "/questions.tmp", "w") as f:
            for i in range(n):
                a, b = 100 + i * 7919 % 9000, 10 + i * 104729 % 900
                f.write(json.dumps({"id": f"q{i}", "question": f"Question {i}: a warehouse keeps crates in two bays and the inspector wants them counted before noon. "
                                    f"How many crates is {a} + {b}? Answer with the number only.", "answers": [str(a + b)], "reads": "number", "cluster": str(i // 10)}) + "\n")
        os.rename(folder + "/questions.tmp", folder + "/questions.jsonl")
    return folder


class Run:
    """One command, from its start to its end or its killing."""

    def __init__(self, command, kill_at=0, timeout=1200):
        self.killed = False
        self.began = time.time()
        with open(args.work + "/out.txt", "wb") as out:
            p = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=args.work, start_new_session=True)
        deadline = time.time() + timeout
        while True:
            pid, status, used = os.wait4(p.pid, os.WNOHANG)
            if pid:
                break
            if time.time() > deadline or kill_at and not self.killed and stats()["ok"] >= kill_at:
                os.killpg(p.pid, signal.SIGKILL)
                self.killed = True
            time.sleep(0.01 if kill_at else 0.05)
        p.returncode = self.code = os.waitstatus_to_exitcode(status)
        self.wall = time.time() - self.began
        self.cpu, self.mb = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
        self.seen = stats()
        self.first = self.seen["first_unix"] - self.began
        self.text = open(args.work + "/out.txt", encoding="utf-8", errors="replace").read()

    def line(self, name, n):
        s = self.seen
        print(f"{name:34s} rc {self.code:3d}  {1000 * self.cpu / n:7.3f} CPU-ms/item  {s['ok'] / max(s['span_s'], 1e-9):8.0f} answers/s  in flight {s['mean_in_flight']:6.1f} mean {s['most_in_flight']:4d} most  "
              f"{f'first request {self.first:6.3f} s  ' if self.first > 0 else ''}wall {self.wall:7.2f} s  {self.mb:4.0f} MB  requests {s['requests']} again {s['again']}  load {os.getloadavg()[0]:.1f}", flush=True)
        return self


def folder(name):
    path = f"{args.work}/runs/{name}"
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def gnothi(n, concurrency, out, *more, **options):
    return Run([args.gnothi, "eval", "run", "qa", "--quiet", "--json", "--model", f"openai:mock@{MOCK}/v1", "--data", data(n), "--concurrency", str(concurrency), "--out", out, *more], **options)


def resume(out, **options):
    return Run([args.gnothi, "eval", "resume", "--quiet", "--json", "--concurrency", "64", out], **options)


def bare(n, concurrency, out, **options):
    return Run([args.work + "/bare", "-url", MOCK + "/v1", "-in", data(n) + "/questions.jsonl", "-out", out, "-c", str(concurrency)], **options)


def size(path):
    return sum(os.path.getsize(os.path.join(r, f)) for r, _, fs in os.walk(path) for f in fs)


def cost():
    """Processor time: whole runs, and what an item more costs."""
    small, large = args.items // 10, args.items
    for _ in range(args.rounds):
        cpu = {}
        for n in (small, large):
            mock(latency="20ms")
            cpu["gnothi", n] = gnothi(n, 64, folder("cost")).line(f"gnothi, {n} items", n).cpu
            print(f"    {size(args.work + '/runs/cost') / n:.0f} bytes an item on disk")
            mock(latency="20ms")
            if os.path.exists(args.work + "/bare.jsonl"):
                os.remove(args.work + "/bare.jsonl")
            cpu["bare", n] = bare(n, 64, args.work + "/bare.jsonl").line(f"bare loop, {n} items", n).cpu
        for who in ("gnothi", "bare"):
            print(f"    {who}: an item more costs {1000 * (cpu[who, large] - cpu[who, small]) / (large - small):.3f} CPU-ms")


def flight():
    """Whether the number asked for is in flight."""
    for _ in range(args.rounds):
        for concurrency, latency, n in ((64, "20ms", args.items), (256, "200ms", args.items // 2), (256, "20ms", args.items)):
            for who in (gnothi, bare):
                mock(latency=latency)
                out = folder("flight") if who is gnothi else args.work + "/bare.jsonl"
                if who is bare and os.path.exists(out):
                    os.remove(out)
                who(n, concurrency, out).line(f"{who.__name__}, {concurrency} at {latency}", n)


def memory():
    """Peak memory by size; 200,000 items take minutes."""
    for n in (1000, 10000, 50000, 200000):
        mock()
        gnothi(n, 64, folder("memory")).line(f"gnothi, {n} items", n)


def resume_time():
    """From the start of a resumed run to its first new call."""
    n = args.items
    mock(latency="20ms")
    out = folder("resume")
    first = gnothi(n, 64, out, kill_at=n // 2).line(f"killed at {n // 2} of {n}", n)
    post("/set?latency=20ms")
    resume(out).line("resumed", n)
    print(f"    answered before {first.seen['ok']}; of these {max(0, stats()['ok'] + first.seen['ok'] - n)} were asked again, {first.seen['in_flight']} were in flight")


def rest():
    """A run of which all but 1,000 items are done is resumed (--items 200000)."""
    n = args.items
    mock()
    out = folder("rest")
    gnothi(n, 64, out).line("gnothi", n)
    db = sqlite3.connect(out + "/run.sqlite")
    for table in ("calls", "items", "bodies"):
        db.execute(f"DELETE FROM {table} WHERE item >= ?", (n - 1000,))
    db.commit()
    db.close()
    mock(latency="20ms")
    resume(out).line("resumed", 1000)


def kill():
    """kill -9 at random moments of one run; books as the report has them."""
    n = args.items
    mock(latency="5ms")
    out, answered, left = folder("kill"), 0, args.rounds * 5
    run = gnothi(n, 64, out, kill_at=random.randint(1, n // left))
    while left := left - 1:
        run = resume(out, kill_at=run.seen["ok"] + random.randint(1, n // args.rounds // 5))
        if not run.killed:
            break
    run = resume(out).line(f"{args.rounds * 5} kills", n)
    print(f"    answers {run.seen['ok']} for {n} items, {run.seen['again']} of them a second time; outcomes {outcomes(run)}")


def outcomes(run):
    """The outcomes in the report's JSON; an error may follow it."""
    try:
        report, _ = json.JSONDecoder().raw_decode(run.text[run.text.index("{"):])
        return {k: v for k, v in report.get("outcomes", {}).items() if v}
    except ValueError:
        return run.text[-500:]


def faults():
    """Transient failures, failures for good, and what is to be counted apart."""
    n = 1000
    for name, behaviour in (("5 % 429 and 5 % 500", {"p429": 0.05, "p500": 0.05}), ("429 with Retry-After", {"p429": 0.02, "retry_after": "1"}), ("18 always fail", {"fail": 18}),
                            ("50 refused, 30 empty, 20 unparsed", {"refuse": 50, "empty": 30, "unparsed": 20}), ("all fail", {"fail": 1000})):
        mock(latency="5ms", **behaviour)
        run = gnothi(n, 64, folder("faults")).line(name, n)
        print(f"    outcomes {outcomes(run)}; the mock answered {run.seen['s429']} times 429, {run.seen['s500']} times 500")


def limits():
    """A rate that is asked for, and one that has to be found."""
    mock(latency="50ms")
    run = gnothi(1000, 64, folder("limits"), "--rpm", "12000").line("12,000 requests a minute", 1000)
    print(f"    {60 * run.seen['requests'] / run.seen['span_s']:.0f} a minute")
    mock(latency="50ms", bears=40)
    run = gnothi(args.items, "auto", folder("limits")).line("auto, 40 are borne", args.items)
    print(f"    {run.seen['s429']} of {run.seen['requests']} requests were turned away; outcomes {outcomes(run)}")
    for line in re.findall(r".*calls at once.*", run.text):
        print("   ", line)


SCENARIOS = {"cost": cost, "flight": flight, "memory": memory, "resume": resume_time, "rest": rest, "kill": kill, "faults": faults, "limits": limits}

os.makedirs(args.work, exist_ok=True)
args.gnothi, args.work = os.path.abspath(args.gnothi), os.path.abspath(args.work)
for program in ("mock", "bare"):
    subprocess.run(["go", "build", "-o", f"{args.work}/{program}", f"./{program}"], cwd=HERE, check=True)
upstream = subprocess.Popen([args.work + "/mock", "-addr", MOCK.removeprefix("http://")])
try:
    for _ in range(100):
        try:
            stats()
            break
        except OSError:
            time.sleep(0.05)
    for name in args.scenarios or [s for s in SCENARIOS if s != "memory"]:
        print(f"## {name}: {SCENARIOS[name].__doc__}")
        SCENARIOS[name]()
finally:
    upstream.terminate()
    upstream.wait()
