#!/usr/bin/env python3
"""Make evidence: ITEMS answers with SAMPLES samples each, as JSON Lines on standard output.

Nothing but the standard library, a fixed seed. 20 tokens an answer and a sample, 15 alternatives at each token of the
answer, samples of 8 words of which a third repeat an earlier one, inference and likeness for all pairs.
"""
import json
import math
import random
import sys

WORDS = "paris london rome the capital is of france city in 1871 no yes maybe berlin river answer forty two large".split()


def tokens(r, n, alternatives):
    out = []
    for _ in range(n):
        logprob = -r.expovariate(2)
        token = {"token": " " + r.choice(WORDS), "logprob": round(logprob, 6)}
        if alternatives:
            weights = sorted((r.expovariate(1) ** 3 for _ in range(alternatives)), reverse=True)
            mass = 0.98 / sum(weights)
            token["top"] = [{"token": f" {w}{k}", "logprob": round(math.log(max(x * mass, 1e-9)), 6)} for k, (x, w) in enumerate(zip(weights, WORDS))]
            token["logprob"] = token["top"][0]["logprob"]
            token["dist"] = {"entropy": round(r.random() * 3, 6), "kl_uniform": round(r.random() * 9, 6), "log_z": 1.5, "vocab": 49152}
        out.append(token)
    return out


def item(r, i, samples):
    texts = []
    for k in range(samples + 1):
        texts.append(r.choice(texts) if k and r.random() < 1 / 3 else " ".join(r.choice(WORDS) for _ in range(8)))
    n = samples + 1
    entail, contra, like = ([[1.0 if j == k else 0.0 for k in range(n)] for j in range(n)] for _ in range(3))
    for j in range(n):
        contra[j][j] = 0.0
        for k in range(n):
            if texts[j] == texts[k]:
                entail[j][k] = like[j][k] = 1.0
                continue
            e, c = r.random(), r.random()
            if e + c > 1:
                e, c = 1 - e, 1 - c
            entail[j][k], contra[j][k] = round(e, 4), round(c, 4)
            if j < k:
                like[j][k] = like[k][j] = round(r.random(), 4)
    return {
        "id": f"q{i}", "question": "What is the capital?", "answer": texts[0], "tokens": tokens(r, 20, 15),
        "relevance": [round(r.random(), 4) for _ in range(20)],
        "samples": [{"text": t, "tokens": tokens(r, 20, 0), "relevance": [round(r.random(), 4) for _ in range(20)]} for t in texts[1:]],
        "nli": {"entailment": entail, "contradiction": contra}, "likeness": like, "label": r.random() < 0.6,
    }


def main():
    items, samples = int(sys.argv[1]), int(sys.argv[2])
    r = random.Random(20260101)
    for i in range(items):
        sys.stdout.write(json.dumps(item(r, i, samples)) + "\n")


main()
