"""Drives `gnothi serve` with the official Python client, as a user's program would.

    python3 openai_client.py [BASE_URL]

BASE_URL ends with /v1, as `gnothi serve` prints it; its key, if it wants one, is
in GNOTHI_API_KEY. Without BASE_URL a server is built and started with the default
model for the time of the tests. Prints each failure and `N passed, M failed`;
exits with 1 if there was one.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import traceback

import openai

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def chat(client, model):
    answer = client.chat.completions.create(model=model, messages=QUESTION, max_tokens=24)
    assert answer.object == "chat.completion" and answer.id, answer
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content, answer
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


def belief(client, model):
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=QUESTION, max_tokens=24, seed=3, extra_body={"gnothi": {"policy": "self-consistency?n=3"}}
    )
    answer = raw.parse()
    b = answer.gnothi
    assert b["schema"] == 1 and b["policy"] == "self-consistency?n=3" and b["seed"] == 3, b
    assert b["question"] == QUESTION[0]["content"] and b["decision"] == "answer", b
    assert b["calibration"]["status"] in ("calibrated", "prior", "uncalibrated"), b
    assert (b["probability"] is None) == (b["calibration"]["status"] == "uncalibrated"), b
    assert b["spend"]["calls"] == 3 and b["spend"]["completion_tokens"] >= answer.usage.completion_tokens, b
    assert any(s["name"] == "consistency/agreement" for s in b["signals"]), b
    assert raw.headers["x-gnothi-decision"] == "answer"
    if b["probability"] is not None:
        assert float(raw.headers["x-gnothi-probability"]) == b["probability"]


def policy_in_name(client, model):
    answer = client.chat.completions.create(model=model + "+direct", messages=QUESTION, max_tokens=8)
    assert answer.gnothi["policy"] == "direct" and answer.gnothi["spend"]["calls"] == 1, answer.gnothi


def stream_direct(client, model):
    whole = client.chat.completions.create(model=model + "+direct", messages=QUESTION, temperature=0, max_tokens=16)
    chunks = list(client.chat.completions.create(model=model + "+direct", messages=QUESTION, temperature=0, max_tokens=16, stream=True))
    # What every program does with chunks, without looking first.
    text = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert text == whole.choices[0].message.content, (text, whole)
    assert len(chunks) > 3, "that is no stream"
    assert chunks[-1].choices[0].finish_reason in ("stop", "length"), chunks[-1]
    assert chunks[-1].gnothi["policy"] == "direct"
    assert not any(hasattr(c, "gnothi") for c in chunks[:-1])


def stream_policy(client, model):
    chunks = list(
        client.chat.completions.create(
            model=model, messages=QUESTION, max_tokens=16, stream=True, stream_options={"include_usage": True}, extra_body={"gnothi": {"policy": "self-consistency?n=3"}}
        )
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices), chunks
    assert chunks[-1].usage.completion_tokens > 0 and chunks[-1].gnothi["spend"]["calls"] == 3, chunks[-1]


def withheld(client, model):
    answer = client.chat.completions.create(model=model, messages=QUESTION, max_tokens=24, extra_body={"gnothi": {"policy": "direct", "threshold": 1}})
    assert answer.choices[0].finish_reason == "stop"
    assert answer.gnothi["decision"] == "abstain" and answer.gnothi["answer"], answer.gnothi
    assert answer.gnothi["answer"] not in answer.choices[0].message.content, answer


def budget(client, model):
    answer = client.chat.completions.create(
        model=model, messages=QUESTION, max_tokens=8, extra_body={"gnothi": {"policy": "self-consistency?n=9", "budget": {"calls": 2}}}
    )
    assert answer.gnothi["spend"]["calls"] == 2, answer.gnothi
    refused = fails(openai.APIStatusError, client, model=model, messages=QUESTION, extra_body={"gnothi": {"budget": {"tokens": 1}}})
    assert refused.status_code == 402 and refused.code == "budget_reached", refused


def logprobs(client, model):
    answer = client.chat.completions.create(model=model + "+direct", messages=QUESTION, max_tokens=8, logprobs=True, top_logprobs=2)
    if answer.choices[0].logprobs is None:
        return "the model gives no log-probabilities"
    tokens = answer.choices[0].logprobs.content
    assert "".join(t.token for t in tokens) == answer.choices[0].message.content
    assert all(t.logprob <= 0 and len(t.top_logprobs) == 2 for t in tokens), tokens
    assert answer.gnothi["signals"], answer.gnothi


def models(client, model):
    names = [m.id for m in client.models.list()]
    assert model in names and model + "+auto" in names, names
    assert client.models.retrieve(model).id == model


def completions(client, model):
    try:
        answer = client.completions.create(model=model, prompt="The capital of France is", max_tokens=3, temperature=0, echo=True, logprobs=1)
    except openai.APIStatusError as e:
        assert e.status_code == 501, e
        return "not a local model"
    assert answer.choices[0].text.startswith("The capital of France is"), answer
    assert answer.choices[0].logprobs.token_logprobs[0] is None and answer.choices[0].logprobs.token_logprobs[1] < 0, answer


def fails(kind, client, **request):
    try:
        client.chat.completions.create(**request)
    except kind as e:
        return e
    raise AssertionError(f"no {kind.__name__}")


def errors(client, model):
    e = fails(openai.NotFoundError, client, model="no-such-model", messages=QUESTION)
    assert e.code == "model_not_found" and e.param == "model" and model in e.message, e
    e = fails(openai.BadRequestError, client, model=model, messages=[])
    assert e.param == "messages", e
    e = fails(openai.BadRequestError, client, model=model, messages=QUESTION, extra_body={"gnothi": {"policy": "self-consistancy"}})
    assert e.param == "gnothi.policy" and "self-consistency" in e.message, e
    e = fails(openai.BadRequestError, client, model=model + "+auto", messages=QUESTION, n=2)
    assert e.param == "n", e
    e = fails(openai.BadRequestError, client, model=model + "+direct", messages=QUESTION, stream=True, extra_body={"gnothi": {"threshold": 0.5}})
    assert e.param == "gnothi.threshold", e


CASES = [chat, belief, policy_in_name, stream_direct, stream_policy, withheld, budget, logprobs, models, completions, errors]


def run(base_url, cases=CASES):
    client = openai.OpenAI(base_url=base_url, api_key=os.environ.get("GNOTHI_API_KEY", "none"), max_retries=0, timeout=120)
    model = client.models.list().data[0].id
    failed = 0
    for case in cases:
        try:
            why = case(client, model)
            print(f"ok    {case.__name__}" + (f" ({why})" if why else ""))
        except Exception:
            failed += 1
            print(f"FAIL  {case.__name__}")
            traceback.print_exc(file=sys.stdout)
    print(f"{len(cases) - failed} passed, {failed} failed")
    return failed


@contextlib.contextmanager
def program(package):
    """Builds a program of the repository."""
    root = pathlib.Path(__file__).resolve().parents[2]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "program"
        subprocess.run(["go", "build", "-o", path, package], cwd=root, check=True)
        yield path


@contextlib.contextmanager
def started(*command, **options):
    """Starts a server and gives the first line that it prints."""
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
    try:
        yield server.stdout.readline()
    finally:
        server.terminate()
        server.wait(timeout=30)
        server.stdout.close()


def serving(gnothi, *flags, **options):
    return started(gnothi, "serve", "--json", "--quiet", "--listen", "127.0.0.1:0", *flags, **options)


def main():
    if len(sys.argv) > 1:
        return run(sys.argv[1])
    with program("./cmd/gnothi") as gnothi, serving(gnothi) as line:
        return run(json.loads(line)["url"])


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
