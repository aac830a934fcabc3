#!/usr/bin/env python3
"""The same evidence through gnothi score and through the peers, end to end. See README.md.

  run.py gnothi FILE [BINARY]     gnothi: reads, scores and writes
  run.py lmp FILE [ITEMS]         lm-polygraph 0.7.0: reads the file, then its estimators
  run.py uqlm FILE [ITEMS]        uqlm 0.6.7: reads the file, then its scorers

Prints items a CPU-second, user and system time of the process and its children; of a peer also without its import.
"""
import itertools
import json
import os
import resource
import subprocess
import sys
import time
import warnings

warnings.filterwarnings("ignore")
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
which, path = sys.argv[1], sys.argv[2]

LMP = ["likelihood/sequence-logprob", "likelihood/mean-logprob", "likelihood/token-entropy", "likelihood/self-certainty", "likelihood/renyi", "likelihood/fisher-rao", "likelihood/token-sar",
       "consistency/sequence-entropy", "consistency/token-rate", "consistency/semantic-entropy-nli", "consistency/sentence-sar-likeness", "consistency/sar-likeness",
       "consistency/cocoa-sequence-likeness", "consistency/cocoa-token-likeness", "consistency/degree-matrix-entailment", "consistency/eigenvalue-sum-entailment", "consistency/eccentricity-entailment",
       "consistency/kernel-entropy", "consistency/semantic-sets-nli", "consistency/luq", "consistency/lexical-rougel", "consistency/lexical-rouge1", "consistency/lexical-bleu", "consistency/eigenvalue-sum-jaccard"]
UQLM = ["consistency/exact-match", "likelihood/min-logprob", "likelihood/mean-logprob", "likelihood/top-k-entropy", "likelihood/max-top-k-entropy", "likelihood/margin", "consistency/mean-probability",
        "consistency/entropy-nli", "consistency/semantic-entropy-nli", "consistency/semantic-sets-nli", "consistency/non-contradiction", "consistency/entailment"]


def report(name, items, seconds, more=""):
    print(f"{name:28s} {items:6d} items {seconds:9.3f} CPU-s {items / seconds:10.1f} items/CPU-s {more}", flush=True)


def peak():
    return f"peak RSS {max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024:.0f} MB"


def gnothi():
    binary = sys.argv[3] if len(sys.argv) > 3 else "gnothi"
    items = sum(1 for _ in open(path, "rb"))
    for name, signals in (("all that the evidence allows", None), ("lm-polygraph's estimators", LMP), ("uqlm's scorers", UQLM)):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([binary, "score", "--quiet", "--in", path] + (["--signals", ",".join(signals)] if signals else []), stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        report("gnothi, " + name, items, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, f"peak RSS {after.ru_maxrss / 1024:.0f} MB")


def lines():
    most = int(sys.argv[3]) if len(sys.argv) > 3 else None
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in itertools.islice(f, most)]


def lmp():
    import numpy as np
    import lm_polygraph.estimators as E
    start = time.process_time()
    rows = lines()
    n = len(rows)
    report("reading the file", n, time.process_time() - start)
    mark = time.process_time()  # what it takes to bring the rows into shape is not charged
    ll = lambda tokens: [t["logprob"] for t in tokens]
    square = lambda r, field: np.array(r["nli"][field])[1:, 1:]
    entail, contra = np.array([square(r, "entailment") for r in rows]), np.array([square(r, "contradiction") for r in rows])
    # Classes by mutual entailment, as its calculator sorts them, from the matrices.
    to_class, of_class = {}, {}
    for i in range(n):
        most = (entail[i] > contra[i]) & (entail[i] > 1 - entail[i] - contra[i])
        classes, number = [], {}
        for s in range(len(most)):
            for k, members in enumerate(classes):
                if most[members[0], s] and most[s, members[0]]:
                    members.append(s)
                    number[s] = k
                    break
            else:
                number[s] = len(classes)
                classes.append([s])
        to_class[i], of_class[i] = number, classes
    like = np.array([r["likeness"] for r in rows])
    stats = dict(
        greedy_log_likelihoods=[ll(r["tokens"]) for r in rows], greedy_log_probs=[np.array([[a["logprob"] for a in t["top"]] for t in r["tokens"]]) for r in rows],
        entropy=[[t["dist"]["entropy"] for t in r["tokens"]] for r in rows], token_similarity=[1 - np.array(r["relevance"]) for r in rows],
        sample_log_likelihoods=[[ll(s["tokens"]) for s in r["samples"]] for r in rows], sample_log_probs=[[sum(ll(s["tokens"])) for s in r["samples"]] for r in rows],
        sample_tokens=[[[0] * len(s["tokens"]) for s in r["samples"]] for r in rows], sample_texts=[[s["text"] for s in r["samples"]] for r in rows], sample_token_similarity=[[1 - np.array(s["relevance"]) for s in r["samples"]] for r in rows],
        semantic_classes_entail=dict(sample_to_class=to_class, class_to_sample=of_class), semantic_matrix_entail=entail, semantic_matrix_contra=contra,
        semantic_matrix_entail_logits=np.log(entail + 1e-9), semantic_matrix_contra_logits=np.log(contra + 1e-9), sample_sentence_similarity=like[:, 1:, 1:], greedy_sentence_similarity=like[:, 0, 1:])
    start += time.process_time() - mark
    for e in (E.MaximumSequenceProbability(), E.Perplexity(), E.MeanTokenEntropy(), E.SelfCertainty(), E.RenyiNeg(), E.FisherRao(), E.TokenSAR(), E.MonteCarloSequenceEntropy(), E.MonteCarloNormalizedSequenceEntropy(),
              E.SemanticEntropy(), E.SentenceSAR(), E.SAR(), E.CocoaMSP(), E.CocoaPPL(), E.DegMat(), E.EigValLaplacian(), E.Eccentricity(), E.KernelLanguageEntropy(), E.NumSemSets(), E.LUQ(),
              E.LexicalSimilarity("rougeL"), E.LexicalSimilarity("rouge1"), E.LexicalSimilarity("BLEU"), E.EigValLaplacian("Jaccard_score")):
        mark = time.process_time()
        e(stats)
        report(str(e), n, time.process_time() - mark)
    report("lm-polygraph, all", n, time.process_time() - start, peak())


def uqlm():
    import numpy as np
    import uqlm.nli.nli as nli
    from uqlm.black_box.consistency import ConsistencyScorer
    from uqlm.black_box.match import MatchScorer
    from uqlm.scorers.shortform.entropy import SemanticEntropy
    from uqlm.white_box.sampled_logprobs import SampledLogprobsScorer
    from uqlm.white_box.single_logprobs import SingleLogprobsScorer
    from uqlm.white_box.top_logprobs import TopLogprobsScorer
    start = time.process_time()
    rows = lines()
    n = len(rows)
    report("reading the file", n, time.process_time() - start)
    # Inference from the file in place of a neural model. What it takes to bring the rows into shape is not charged.
    mark = time.process_time()
    table = {}
    for r in rows:
        texts = [r["answer"]] + [s["text"] for s in r["samples"]]
        for j, a in enumerate(texts):
            for k, b in enumerate(texts):
                e, c = r["nli"]["entailment"][j][k], r["nli"]["contradiction"][j][k]
                table[a, b] = np.array([c, 1 - e - c, e])
    nli.NLI.__init__ = lambda self, *a, **k: self.__dict__.update(probabilities={}, label_mapping=["contradiction", "neutral", "entailment"], max_length=10**6, batch_size=32, device=None)
    nli.NLI.predict_batch = lambda self, pairs: np.array([table[tuple(p)] for p in pairs])
    answers, samples = [r["answer"] for r in rows], [[s["text"] for s in r["samples"]] for r in rows]
    token = lambda t: {"token": t["token"], "logprob": t["logprob"], "top_logprobs": t.get("top", [])}
    own, others = [[token(t) for t in r["tokens"]] for r in rows], [[[token(t) for t in s["tokens"]] for s in r["samples"]] for r in rows]
    start += time.process_time() - mark
    mean = object.__new__(SampledLogprobsScorer)
    mean.length_normalize = True
    for name, f in (
        ("exact match", lambda: MatchScorer().evaluate(answers, samples)),
        ("min, sequence probability", lambda: SingleLogprobsScorer(scorers=["min_probability", "sequence_probability"]).evaluate(own)),
        ("top-15 negentropy, margin", lambda: TopLogprobsScorer().evaluate(own)),
        ("monte_carlo_probability", lambda: mean.monte_carlo_probability(answers, own, others)),
        ("semantic negentropy", lambda: SemanticEntropy(use_best=False, prompts_in_nli=False).score(responses=answers, sampled_responses=samples, logprobs_results=own, sampled_logprobs_results=others, show_progress_bars=False, _display_header=False)),
        ("noncontradiction, entailment", lambda: ConsistencyScorer().evaluate(list(answers), [list(s) for s in samples])),
    ):
        mark = time.process_time()
        f()
        report(name, n, time.process_time() - mark)
    report("uqlm, all", n, time.process_time() - start, peak())


{"gnothi": gnothi, "lmp": lmp, "uqlm": uqlm}[which]()
