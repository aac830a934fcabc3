"""One session of the official Python client with `gnothi serve` in front of the
upstream of tests/upstream: plain, streamed, tools, an image, a JSON schema,
responses and errors, passed on and under a policy.

    python3 session.py

Prints each failure and `N passed, M failed`; exits with 1 if there was one.
tests/node/session.mjs and gateway/session_test.go are the same session.
"""

import base64
import json
import os
import sys

import openai

from openai_client import fails, program, run, serving, started

KEY = "sk-upstream-0123456789abcdef"
POLICIES = ["direct", "self-consistency?n=3", "auto"]
PIXEL = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(1000)).decode()
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "strict": True,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
        },
    }
]
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "answer",
        "strict": True,
        "schema": {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"], "additionalProperties": False},
    },
}


def user(content):
    return [{"role": "user", "content": content}]


def under(policy):
    return {"gnothi": {"policy": policy}}


def plain(client, model):
    for policy in POLICIES:
        raw = client.chat.completions.with_raw_response.create(model=f"{model}+{policy}", messages=[{"role": "developer", "content": "Be brief."}, *user("hello")], metadata={"a": "b"})
        answer = raw.parse()
        assert answer.choices[0].message.content == "You said: hello.", answer
        assert answer.choices[0].finish_reason == "stop" and answer.system_fingerprint == "fp_1", answer
        assert answer.usage.completion_tokens > 0 and answer.gnothi["policy"] == policy, answer
        assert raw.headers["x-request-id"] == "req_1" and raw.headers["x-ratelimit-remaining-requests"] == "41", raw.headers
    several = client.chat.completions.create(model=model + "+direct", messages=user("hello"), n=3)
    assert [c.message.content for c in several.choices] == ["You said: hello."] * 3, several


def stream(client, model):
    for policy in POLICIES:
        chunks = list(client.chat.completions.create(model=model, messages=user("one two three"), stream=True, stream_options={"include_usage": True}, extra_body=under(policy)))
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "You said: one two three.", chunks
        assert chunks[-1].usage.completion_tokens > 0 and chunks[-1].gnothi["policy"] == policy, chunks[-1]
        assert sum(bool(c.choices and c.choices[0].finish_reason == "stop") for c in chunks) == 1, chunks


def tools(client, model):
    for policy in POLICIES:
        question = user("What is the weather in Oslo?")
        answer = client.chat.completions.create(model=model, messages=question, tools=TOOLS, extra_body=under(policy))
        message = answer.choices[0].message
        assert answer.choices[0].finish_reason == "tool_calls" and message.content is None, answer
        assert message.tool_calls[0].function.name == "get_weather" and json.loads(message.tool_calls[0].function.arguments) == {"city": "Oslo"}, answer
        assert answer.gnothi["answer"] == 'get_weather({"city":"Oslo"})' and answer.gnothi["alternatives"] == [], answer.gnothi
        history = [*question, message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "9 degrees"}]
        answer = client.chat.completions.create(model=model, messages=history, tools=TOOLS, extra_body=under(policy))
        assert answer.choices[0].message.content == "The tool says: 9 degrees.", answer
        # The same as a stream, put together by the library.
        with client.chat.completions.stream(model=model, messages=question, tools=TOOLS, extra_body=under(policy)) as events:
            final = events.get_final_completion()
        call = final.choices[0].message.tool_calls[0]
        assert call.function.name == "get_weather" and json.loads(call.function.arguments) == {"city": "Oslo"}, final


def image(client, model):
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}]
    for policy in POLICIES:
        answer = client.chat.completions.create(model=model, messages=user(content), extra_body=under(policy))
        assert answer.choices[0].message.content == f"I see image/png of {len(PIXEL)} characters.", answer
        assert answer.gnothi["question"] == "What is this?", answer.gnothi


def schema(client, model):
    for policy in POLICIES:
        answer = client.chat.completions.create(model=model, messages=user("Capital of France?"), response_format=SCHEMA, extra_body=under(policy))
        assert json.loads(answer.choices[0].message.content) == {"answer": "Paris"}, answer


def withheld(client, model):
    answer = client.chat.completions.create(model=model, messages=user("Weather?"), tools=TOOLS, extra_body={"gnothi": {"policy": "self-consistency?n=3", "threshold": 1}})
    assert answer.choices[0].finish_reason == "stop" and not answer.choices[0].message.tool_calls and answer.choices[0].message.content, answer
    assert answer.gnothi["decision"] == "abstain" and answer.gnothi["answer"] == 'get_weather({"city":"Oslo"})', answer.gnothi


def responses(client, model):
    for name in (model, model + "+direct"):
        answer = client.responses.create(model=name, input="hello")
        assert answer.output_text == "You said: hello." and answer.model == model, answer
        events = list(client.responses.create(model=name, input="hello", stream=True))
        assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "You said: hello.", events
        assert events[-1].type == "response.completed" and events[-1].response.output_text == "You said: hello.", events[-1]


def errors(client, model):
    kinds = {400: openai.BadRequestError, 401: openai.AuthenticationError, 403: openai.PermissionDeniedError, 404: openai.NotFoundError, 422: openai.UnprocessableEntityError, 429: openai.RateLimitError}
    for policy in POLICIES:
        for streaming in (False, True):
            for status, kind in kinds.items():
                if status == 429 and policy != "direct":
                    continue  # is tried again before it is told, which takes seconds
                e = fails(kind, client, model=model, messages=user(f"fail: {status}"), stream=streaming, extra_body=under(policy))
                assert e.status_code == status and e.code == f"failed_{status}" and e.param == "messages" and e.type == "test_error", e
                assert KEY not in str(e) and "failed as asked" in e.message, e
                assert e.request_id == "req_1", e
                if status == 429:
                    assert e.response.headers["retry-after"] == "1", e.response.headers


CASES = [plain, stream, tools, image, schema, withheld, responses, errors]


def main():
    with program("./cmd/gnothi") as gnothi, program("./tests/upstream") as upstream, started(upstream) as url:
        environment = {**os.environ, "OPENAI_API_KEY": KEY}
        with serving(gnothi, "--model", "openai:assistant@" + url.strip(), "--policy", "direct", env=environment) as line:
            return run(json.loads(line)["url"], CASES)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
