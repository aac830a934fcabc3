// One session of the official Node client with `gnothi serve` in front of the
// upstream of tests/upstream: plain, streamed, tools, an image, a JSON schema,
// responses and errors, passed on and under a policy.
//
//     npm ci && node session.mjs
//
// Prints each failure and `N passed, M failed`; exits with 1 if there was one.
// tests/python/session.py and gateway/session_test.go are the same session.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import OpenAI from "openai";

const KEY = "sk-upstream-0123456789abcdef";
const POLICIES = ["direct", "self-consistency?n=3", "auto"];
const PIXEL = "data:image/png;base64," + Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), Buffer.alloc(1000)]).toString("base64");
const object = (properties) => ({ type: "object", properties, required: Object.keys(properties), additionalProperties: false });
const TOOLS = [{ type: "function", function: { name: "get_weather", strict: true, parameters: object({ city: { type: "string" } }) } }];
const SCHEMA = { type: "json_schema", json_schema: { name: "answer", strict: true, schema: object({ answer: { type: "string" } }) } };

const user = (content) => [{ role: "user", content }];

const cases = {
  async plain(chat, model) {
    for (const policy of POLICIES) {
      const messages = [{ role: "developer", content: "Be brief." }, ...user("hello")];
      const { data, response } = await chat.create({ model: `${model}+${policy}`, messages, metadata: { a: "b" } }).withResponse();
      assert.equal(data.choices[0].message.content, "You said: hello.");
      assert.equal(data.choices[0].finish_reason, "stop");
      assert.equal(data.system_fingerprint, "fp_1");
      assert.ok(data.usage.completion_tokens > 0);
      assert.equal(data.gnothi.policy, policy);
      assert.equal(data._request_id, "req_1");
      assert.equal(response.headers.get("x-ratelimit-remaining-requests"), "41");
    }
    const several = await chat.create({ model: model + "+direct", messages: user("hello"), n: 3 });
    assert.deepEqual(several.choices.map((c) => c.message.content), Array(3).fill("You said: hello."));
  },

  async stream(chat, model) {
    for (const policy of POLICIES) {
      const chunks = [];
      for await (const chunk of await chat.create({ model, messages: user("one two three"), stream: true, stream_options: { include_usage: true }, gnothi: { policy } })) {
        chunks.push(chunk);
      }
      assert.equal(chunks.map((c) => c.choices[0]?.delta.content ?? "").join(""), "You said: one two three.");
      assert.equal(chunks.filter((c) => c.choices[0]?.finish_reason === "stop").length, 1);
      const last = chunks.at(-1);
      assert.ok(last.usage.completion_tokens > 0);
      assert.equal(last.gnothi.policy, policy);
    }
  },

  async tools(chat, model) {
    for (const policy of POLICIES) {
      const question = user("What is the weather in Oslo?");
      const ask = { model, messages: question, tools: TOOLS, gnothi: { policy } };
      const answer = await chat.create(ask);
      const message = answer.choices[0].message;
      assert.equal(answer.choices[0].finish_reason, "tool_calls");
      assert.equal(message.content, null);
      assert.equal(message.tool_calls[0].function.name, "get_weather");
      assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { city: "Oslo" });
      assert.equal(answer.gnothi.answer, 'get_weather({"city":"Oslo"})');
      assert.deepEqual(answer.gnothi.alternatives, []);
      const history = [...question, message, { role: "tool", tool_call_id: message.tool_calls[0].id, content: "9 degrees" }];
      assert.equal((await chat.create({ ...ask, messages: history })).choices[0].message.content, "The tool says: 9 degrees.");
      // The same as a stream, put together by the library.
      const final = await chat.stream(ask).finalChatCompletion();
      assert.equal(final.choices[0].message.tool_calls[0].function.name, "get_weather");
      assert.deepEqual(JSON.parse(final.choices[0].message.tool_calls[0].function.arguments), { city: "Oslo" });
    }
  },

  async image(chat, model) {
    const content = [{ type: "text", text: "What is this?" }, { type: "image_url", image_url: { url: PIXEL, detail: "low" } }];
    for (const policy of POLICIES) {
      const answer = await chat.create({ model, messages: user(content), gnothi: { policy } });
      assert.equal(answer.choices[0].message.content, `I see image/png of ${PIXEL.length} characters.`);
      assert.equal(answer.gnothi.question, "What is this?");
    }
  },

  async schema(chat, model) {
    for (const policy of POLICIES) {
      const answer = await chat.create({ model, messages: user("Capital of France?"), response_format: SCHEMA, gnothi: { policy } });
      assert.deepEqual(JSON.parse(answer.choices[0].message.content), { answer: "Paris" });
    }
  },

  async withheld(chat, model) {
    const answer = await chat.create({ model, messages: user("Weather?"), tools: TOOLS, gnothi: { policy: "self-consistency?n=3", threshold: 1 } });
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.ok(!answer.choices[0].message.tool_calls && answer.choices[0].message.content);
    assert.equal(answer.gnothi.decision, "abstain");
    assert.equal(answer.gnothi.answer, 'get_weather({"city":"Oslo"})');
  },

  async responses(_, model, client) {
    for (const name of [model, model + "+direct"]) {
      const answer = await client.responses.create({ model: name, input: "hello" });
      assert.equal(answer.output_text, "You said: hello.");
      assert.equal(answer.model, model);
      let text = "";
      let last;
      for await (const event of await client.responses.create({ model: name, input: "hello", stream: true })) {
        text += event.type === "response.output_text.delta" ? event.delta : "";
        last = event;
      }
      assert.equal(text, "You said: hello.");
      assert.equal(last.type, "response.completed");
    }
  },

  async errors(chat, model) {
    const kinds = {
      400: OpenAI.BadRequestError,
      401: OpenAI.AuthenticationError,
      403: OpenAI.PermissionDeniedError,
      404: OpenAI.NotFoundError,
      422: OpenAI.UnprocessableEntityError,
      429: OpenAI.RateLimitError,
    };
    for (const policy of POLICIES) {
      for (const stream of [false, true]) {
        for (const [status, kind] of Object.entries(kinds)) {
          if (status === "429" && policy !== "direct") continue; // is tried again before it is told, which takes seconds
          await assert.rejects(chat.create({ model, messages: user(`fail: ${status}`), stream, gnothi: { policy } }), (e) => {
            assert.ok(e instanceof kind, `${e}`);
            assert.equal(e.status, Number(status));
            assert.equal(e.code, `failed_${status}`);
            assert.equal(e.param, "messages");
            assert.equal(e.type, "test_error");
            assert.ok(e.message.includes("failed as asked") && !`${e}`.includes(KEY), `${e}`);
            assert.equal(e.requestID, "req_1");
            if (status === "429") assert.equal(e.headers.get("retry-after"), "1");
            return true;
          });
        }
      }
    }
  },
};

// start runs a server and gives the first line that it prints.
async function start(command, args, env) {
  const server = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: server.stdout })) return { line, server };
  throw new Error(`${command} printed nothing`);
}

const folder = mkdtempSync(join(tmpdir(), "session-"));
const servers = [];
let failed = 0;
try {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  for (const name of ["cmd/gnothi", "tests/upstream"]) execFileSync("go", ["build", "-o", folder + "/", "./" + name], { cwd: root, stdio: "inherit" });
  const upstream = await start(join(folder, "upstream"), []);
  servers.push(upstream.server);
  const flags = ["serve", "--json", "--quiet", "--listen", "127.0.0.1:0", "--policy", "direct", "--model", "openai:assistant@" + upstream.line];
  const gnothi = await start(join(folder, "gnothi"), flags, { OPENAI_API_KEY: KEY });
  servers.push(gnothi.server);
  const client = new OpenAI({ baseURL: JSON.parse(gnothi.line).url, apiKey: process.env.GNOTHI_API_KEY ?? "none", maxRetries: 0, timeout: 120_000 });
  for (const [name, run] of Object.entries(cases)) {
    try {
      await run(client.chat.completions, "assistant", client);
      console.log(`ok    ${name}`);
    } catch (e) {
      failed++;
      console.log(`FAIL  ${name}\n${e.stack}`);
    }
  }
  console.log(`${Object.keys(cases).length - failed} passed, ${failed} failed`);
} finally {
  for (const server of servers) server.kill();
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;
