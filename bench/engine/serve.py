"""Many users at once: tokens a second in all, of gnothi serve and of llama-cpp-python's server, by turns.

    serve.py GNOTHI MODEL.gguf [PYTHON-WITH-LLAMA-CPP] [--users 16] [--rounds 3] [--tokens 32]

Each user asks for two completions in a row, of prompts that share a beginning and end differently. Both
servers get the same prompts, the same limits and two threads (GOMAXPROCS, --n_threads). Loopback only. A
server is up during its own rounds only, and warmed by one request. Standard library only.
"""
import argparse, json, os, statistics, subprocess, sys, tempfile, threading, time, urllib.request

p = argparse.ArgumentParser()
p.add_argument("gnothi"), p.add_argument("model"), p.add_argument("python", nargs="?")
p.add_argument("--users", type=int, default=16), p.add_argument("--rounds", type=int, default=3), p.add_argument("--tokens", type=int, default=32)
a = p.parse_args()
TOPICS = "rivers bread clocks whales paper violins volcanoes bridges coffee stars maps chess wool tides glass bees ink salt kites ice".split()
SHARED = "You are a careful encyclopedia. Every entry is short, factual, written in plain English, and ends when it has said the most important things.\n\n"


def call(base, path, body=None, timeout=600):
    req = urllib.request.Request(base + path, json.dumps(body).encode() if body is not None else None, {"Content-Type": "application/json"})
    with urllib.request.urlopen(req, timeout=timeout) as f:
        return json.loads(f.read())


def start(kind):
    env = dict(os.environ, GOMAXPROCS="2", GGML_NO_BACKTRACE="1")
    port = 18431 if kind == "gnothi" else 18432
    if kind == "gnothi":
        cmd = [a.gnothi, "serve", "--quiet", "--listen", f"127.0.0.1:{port}", "--state", "none", "--policy", "direct", "--model", "local:" + a.model]
    else:
        cmd = [a.python, "-m", "llama_cpp.server", "--model", a.model, "--port", str(port), "--n_ctx", "2048", "--n_threads", "2", "--n_threads_batch", "2", "--verbose", "false"]
    proc = subprocess.Popen(cmd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}"
    for _ in range(600):
        if proc.poll() is not None:
            sys.exit(f"{kind} did not start")
        try:
            name = call(base, "/v1/models", timeout=2)["data"][0]["id"]
            call(base, "/v1/completions", body(name, 0, 0))
            return proc, base, name
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{kind} does not answer")


def body(name, user, turn):
    topic = TOPICS[(user + 7 * turn) % len(TOPICS)]
    return {"model": name, "prompt": f"{SHARED}Entry {user}: {topic}\n\n", "max_tokens": a.tokens, "temperature": 0.8, "seed": user}


def measure(base, name):
    tokens, waits, failed = [], [], []

    def user(u):
        for turn in range(2):
            t = time.perf_counter()
            try:
                tokens.append(call(base, "/v1/completions", body(name, u, turn))["usage"]["completion_tokens"])
                waits.append(time.perf_counter() - t)
            except OSError as e:
                failed.append(str(e))

    t = time.perf_counter()
    threads = [threading.Thread(target=user, args=(u,)) for u in range(a.users)]
    [x.start() for x in threads], [x.join() for x in threads]
    wall = time.perf_counter() - t
    if failed:
        print("failed:", failed[0], len(failed), file=sys.stderr)
    return sum(tokens) / wall, statistics.median(waits), max(waits)


def memory(proc):
    with open(f"/proc/{proc.pid}/status") as f:
        return [int(line.split()[1]) // 1024 for line in f if line.startswith("VmHWM")][0]


kinds = ["gnothi"] + (["llama_cpp"] if a.python else [])
rates = {k: [] for k in kinds}
for r in range(a.rounds):
    for k in kinds if r % 2 == 0 else kinds[::-1]:
        proc, base, name = start(k)
        try:
            rate, median, worst = measure(base, name)
            rates[k].append(rate)
            print(f"round {r} {k:9} {rate:7.1f} tok/s   a request {median:5.2f} s median, {worst:5.2f} s longest   peak {memory(proc)} MiB")
        finally:
            proc.terminate(), proc.wait()
for k in kinds:
    print(f"{k:9} {statistics.median(rates[k]):7.1f} tok/s, median of {a.rounds}, {a.users} users")
if a.python:
    print(f"ratio {statistics.median(rates['gnothi']) / statistics.median(rates['llama_cpp']):.2f}")
