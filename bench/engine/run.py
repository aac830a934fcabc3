"""The engine here and llama.cpp on the same files, in turn, with what the machine can do measured in the same rounds.

usage: run.py ROUNDS THREADS FILE.gguf… (with a Python that has llama-cpp-python; see README.md)

Each round runs, for each file, the engine, llama.cpp on the file as it is, and llama.cpp on the file requantised to Q4_0,
the format that it is fastest with. Every process runs under a lock of its own, so that two of these do not time each other.
"""
import ctypes
import fcntl
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KEYS = ["decode1", "decode8", "decode16", "prefill64", "prefill512", "prefill1500", "first_ms", "rss_first", "rss_end"]


def locked(argv):
    with open("/tmp/bench.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(argv, capture_output=True, text=True, cwd=HERE)
    if done.returncode:
        raise SystemExit(f"{argv}: {done.stderr[-2000:]}")
    return done.stdout


def build(package, target, test=False):
    command = ["go", "test", "-c"] if test else ["go", "build"]
    subprocess.run([*command, "-o", str(target), package], check=True, cwd=ROOT)


def requantise(source, target):
    import llama

    params = llama.lib.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize = 2, True  # Q4_0
    if llama.lib.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params)):
        raise SystemExit(f"llama.cpp cannot requantise {source}")


def ceilings(binary, threads):
    """GB/s read from memory and GFLOP/s, all threads together."""
    out = {}
    for line in locked([binary, "-test.run", "^$", "-test.bench", "Ceiling", "-test.benchtime", "200ms", "-test.cpu", str(threads)]).splitlines():
        fields = line.split()
        for value, unit in zip(fields, fields[1:]):
            if unit in ("GB/s", "GFLOP/s"):
                out[unit] = float(value)
    return out


def show(name, here, there, best):
    print(f"\n{name}\n{'':22}{'here':>9}{'llama.cpp':>11}{'ratio':>8}{'Q4_0':>9}{'ratio':>8}   range here; there")
    for key in KEYS:
        a, b, c = ([r[key] for r in runs] for runs in (here, there, best))
        ma, mb, mc = (statistics.median(x) for x in (a, b, c))
        print(f"{key:22}{ma:9.1f}{mb:11.1f}{ma / mb:8.2f}{mc:9.1f}{ma / mc:8.2f}   {min(a):.0f}–{max(a):.0f}; {min(b):.0f}–{max(b):.0f}")
    stats = statistics.median(r["decode1_statistics"] for r in there)
    print(f"llama.cpp with the statistics that the engine has included, by numpy: decode1 {stats:.1f}")


def main(rounds, threads, *files):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        speed, kernels = folder / "speed", folder / "kernels"
        build("./bench/engine/speed", speed)
        build("./engine/internal/kernel", kernels, test=True)
        files = [os.path.abspath(f) for f in files]
        best = {f: str(folder / f"{i}.gguf") for i, f in enumerate(files)}
        for f in files:
            requantise(f, best[f])
        seen = {(f, k): [] for f in files for k in ("here", "there", "best")}
        machine = []
        for _ in range(int(rounds)):
            machine.append(ceilings(str(kernels), threads))
            for f in files:
                seen[f, "here"].append(json.loads(locked([str(speed), f, threads])))
                seen[f, "there"].append(json.loads(locked([sys.executable, "one.py", f, threads])))
                seen[f, "best"].append(json.loads(locked([sys.executable, "one.py", best[f], threads])))
    for unit in ("GB/s", "GFLOP/s"):
        values = [m[unit] for m in machine]
        print(f"ceiling: {statistics.median(values):.1f} {unit} ({min(values):.1f}–{max(values):.1f})")
    for f in files:
        show(pathlib.Path(f).name, *(seen[f, k] for k in ("here", "there", "best")))


if __name__ == "__main__":
    main(*sys.argv[1:])
