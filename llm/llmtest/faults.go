package llmtest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Fault is one way for an upstream that speaks the OpenAI protocol to fail.
type Fault struct {
	Name string
	// Fine: the answer is unusual, but a good client reads it. It says Paris.
	Fine bool
	// Status is what the error reports: of the response, 0 if there was none.
	Status int
	// Temporary: worth another try.
	Temporary bool
	// RetryAfter is the least that the upstream asks to wait.
	RetryAfter time.Duration
	// Hangs: there is no end but a limit of the client's.
	Hangs bool
	// Plain and Stream tell which calls show the fault.
	Plain, Stream bool
	// Message is a part of what a good error says.
	Message string
	// Serve answers a request that way.
	Serve http.HandlerFunc
}

// Secret stands in the error messages of some faults, as keys do in those of
// real servers; it must never be shown.
const Secret = "sk-secret0123456789abcdef"

const (
	good      = `{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Paris"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}`
	goodChunk = `{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Paris"},"finish_reason":null}]}`
	goodEnd   = `{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
	done      = "data: [DONE]\n\n"
)

// say writes what the client may no longer be there to read.
func say(w io.Writer, s string) { _, _ = io.WriteString(w, s) }

func event(data string) string { return "data: " + data + "\n\n" }

// status answers with an error object.
func status(code int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		say(w, body)
	}
}

// answers gives one body to plain calls and another to streams.
func answers(plain, stream string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if streams(r) {
			w.Header().Set("Content-Type", "text/event-stream")
			say(w, stream)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		say(w, plain)
	}
}

func streams(r *http.Request) bool {
	var body struct {
		Stream bool `json:"stream"`
	}
	b, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(b))
	_ = json.Unmarshal(b, &body)
	return body.Stream
}

// hang sends what it is given and then nothing until the client leaves.
func hang(plain, stream string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body := plain
		w.Header().Set("Content-Type", "application/json")
		if streams(r) {
			body = stream
			w.Header().Set("Content-Type", "text/event-stream")
		}
		if body != "" {
			say(w, body)
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	}
}

func reset(after string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		say(conn, after)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // without it the end is an orderly one
		}
		conn.Close()
	}
}

func trickle(body string, kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		for i := range len(body) {
			say(w, body[i:i+1])
			w.(http.Flusher).Flush()
		}
	}
}

func zipped(plain, stream string) http.HandlerFunc {
	inner := answers(plain, stream)
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		inner(writer{w, z}, r)
	}
}

type writer struct {
	http.ResponseWriter
	to io.Writer
}

func (w writer) Write(p []byte) (int, error) { return w.to.Write(p) }

func choice(fields string) string {
	return `{"id":"c1","object":"chat.completion","model":"m","choices":[{"index":0,"finish_reason":"stop",` + fields + `}],"usage":{"prompt_tokens":5,"completion_tokens":1}}`
}

func chunk(fields string) string {
	return event(`{"object":"chat.completion.chunk","choices":[{"index":0,`+fields+`}]}`) + done
}

// big is a body of n bytes that would be good if it were smaller.
func big(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		say(w, `{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"`)
		block := strings.Repeat("a", 1<<16)
		for ; n > 0; n -= len(block) {
			if _, err := io.WriteString(w, block); err != nil {
				return
			}
		}
		say(w, `"}}]}`)
	}
}

const page = `<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>`

// Faults lists them.
func Faults() []Fault {
	html := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(code)
			say(w, page)
		}
	}
	positive := `"logprobs":{"content":[{"token":"Paris","logprob":0.5,"bytes":null,"top_logprobs":[]}]}`
	both := func(f Fault) Fault { f.Plain, f.Stream = true, true; return f }
	return []Fault{
		both(Fault{Name: "429", Status: 429, Temporary: true, Message: "slow down", Serve: status(429, `{"error":{"message":"slow down","type":"rate_limit","code":"rate_limit_exceeded","param":null}}`)}),
		both(Fault{Name: "429 with seconds", Status: 429, Temporary: true, RetryAfter: time.Second, Serve: status(429, `{"error":{"message":"slow down"}}`, "Retry-After", "1")}),
		both(Fault{Name: "429 with a date", Status: 429, Temporary: true, RetryAfter: time.Hour, Serve: func(w http.ResponseWriter, r *http.Request) {
			status(429, `{}`, "Retry-After", time.Now().Add(2*time.Hour).UTC().Format(http.TimeFormat))(w, r)
		}}),
		both(Fault{Name: "429 for lack of credit", Status: 429, Serve: status(429, `{"error":{"message":"no credit","code":"insufficient_quota"}}`)}),
		both(Fault{Name: "400", Status: 400, Message: "bad roles", Serve: status(400, `{"error":{"message":"bad roles","type":"invalid_request_error","param":"messages","code":null}}`)}),
		both(Fault{Name: "401 that quotes the key", Status: 401, Message: "Incorrect API key", Serve: status(401, `{"error":{"message":"Incorrect API key provided: `+Secret+`","code":"invalid_api_key"}}`)}),
		both(Fault{Name: "404 as text", Status: 404, Message: "404 page not found", Serve: status(404, "404 page not found\n")}),
		both(Fault{Name: "422 of FastAPI", Status: 422, Message: "field required", Serve: status(422, `{"detail":[{"loc":["body"],"msg":"field required"}]}`)}),
		both(Fault{Name: "500", Status: 500, Temporary: true, Message: "Internal Server Error", Serve: status(500, ``)}),
		both(Fault{Name: "503 with a string", Status: 503, Temporary: true, Message: "model is loading", Serve: status(503, `{"error":"model is loading"}`)}),
		both(Fault{Name: "502 page", Status: 502, Temporary: true, Message: "502 Bad Gateway", Serve: html(502)}),
		both(Fault{Name: "page with status 200", Status: 200, Temporary: true, Message: "HTML page", Serve: html(200)}),
		both(Fault{Name: "error with status 200", Status: 200, Temporary: true, Message: "overloaded", Serve: answers(`{"error":{"message":"overloaded"}}`, event(`{"error":{"message":"overloaded"}}`))}),
		both(Fault{Name: "refusal with status 200", Status: 200, Message: "bad roles", Serve: answers(`{"error":{"message":"bad roles","code":400}}`, event(`{"error":{"message":"bad roles","code":400}}`))}),
		both(Fault{Name: "redirect", Status: 302, Message: "redirected", Serve: status(302, ``, "Location", "/elsewhere")}),
		both(Fault{Name: "reset", Temporary: true, Serve: reset("")}),
		both(Fault{Name: "reset within the body", Status: 0, Temporary: true, Serve: reset("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"choices\":")}),
		{Name: "body cut short", Plain: true, Temporary: true, Serve: status(200, good[:60], "Content-Length", "500")},
		both(Fault{Name: "hang before the first byte", Temporary: true, Hangs: true, Message: "no answer within", Serve: hang("", "")}),
		both(Fault{Name: "hang between bytes", Temporary: true, Hangs: true, Message: "nothing more came within", Serve: hang(good[:60], ": waiting\n\n")}),
		{Name: "hang within a stream", Stream: true, Hangs: true, Message: "nothing more came within", Serve: hang("", event(goodChunk))},
		both(Fault{Name: "garbage", Status: 200, Temporary: true, Serve: answers("\x01garbage{", "data: \x01garbage{\n\n")}),
		both(Fault{Name: "nothing", Status: 200, Temporary: true, Serve: answers("", "")}),
		both(Fault{Name: "null", Status: 200, Temporary: true, Serve: answers("null", event("null"))}),
		both(Fault{Name: "empty choices", Status: 200, Temporary: true, Message: "no choices", Serve: answers(`{"id":"c1","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":0}}`, done)}),
		{Name: "null content", Plain: true, Status: 200, Temporary: true, Message: "content is null", Serve: answers(choice(`"message":{"role":"assistant","content":null}`), "")},
		{Name: "null content in a stream", Stream: true, Status: 200, Message: "content is null", Serve: answers("", chunk(`"delta":{"role":"assistant","content":null},"finish_reason":"stop"`))},
		{Name: "two choices with one index", Plain: true, Status: 200, Temporary: true, Serve: answers(`{"choices":[{"index":0,"message":{"content":"a"}},{"index":0,"message":{"content":"b"}}]}`, "")},
		{Name: "more choices than asked for", Plain: true, Status: 200, Temporary: true, Serve: answers(`{"choices":[{"index":0,"message":{"content":"a"}},{"index":1,"message":{"content":"b"}}]}`, "")},
		{Name: "negative usage", Plain: true, Status: 200, Temporary: true, Message: "usage", Serve: answers(`{"choices":[{"index":0,"message":{"content":"a"}}],"usage":{"prompt_tokens":-5,"completion_tokens":1}}`, "")},
		{Name: "positive log-probabilities", Plain: true, Status: 200, Temporary: true, Message: "above 0", Serve: answers(choice(positive+`,"message":{"role":"assistant","content":"Paris"}`), "")},
		{Name: "positive log-probabilities in a stream", Stream: true, Status: 200, Temporary: true, Message: "above 0", Serve: answers("", chunk(positive+`,"delta":{"content":"Paris"}`))},
		{Name: "NaN", Plain: true, Status: 200, Temporary: true, Serve: answers(choice(`"logprobs":{"content":[{"token":"Paris","logprob":NaN}]},"message":{"role":"assistant","content":"Paris"}`), "")},
		{Name: "invalid UTF-8", Plain: true, Status: 200, Temporary: true, Message: "UTF-8", Serve: answers(strings.Replace(good, "Paris", "Par\xffis", 1), "")},
		{Name: "invalid UTF-8 in a stream", Stream: true, Status: 200, Temporary: true, Message: "UTF-8", Serve: answers("", event(strings.Replace(goodChunk, "Paris", "Par\xffis", 1))+event(goodEnd)+done)},
		{Name: "100 MB", Plain: true, Status: 200, Message: "larger than", Serve: big(100 << 20)},
		{Name: "stream cut", Stream: true, Status: 200, Message: "cut", Serve: answers("", event(goodChunk))},
		{Name: "stream cut within an event", Stream: true, Status: 200, Serve: answers("", event(goodChunk)+"data: "+goodEnd[:40])},
		{Name: "stream reset", Stream: true, Serve: reset("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + event(goodChunk))},
		{Name: "error within a stream", Stream: true, Status: 200, Message: "lost the model", Serve: answers("", event(goodChunk)+event(`{"error":{"message":"lost the model"}}`))},

		both(Fault{Name: "gzip unasked for", Fine: true, Serve: zipped(good, event(goodChunk)+event(goodEnd)+done)}),
		{Name: "trickle", Fine: true, Plain: true, Serve: trickle(good, "application/json")},
		{Name: "stream a byte at a time", Fine: true, Stream: true, Serve: trickle("\ufeff: hello\r\n\r\nid: 3\r\nevent: message\r\nretry: 5\r\ndata: "+goodChunk+"\r\n\r\ndata:"+goodEnd+"\r\n\r\ndata: [DONE]\r\n\r\n", "text/event-stream")},
		{Name: "stream with lone CR and data over lines", Fine: true, Stream: true, Serve: answers("", "data: "+strings.Replace(goodChunk, ",", ",\rdata: ", 2)+"\r\r"+event(goodEnd)+done)},
		{Name: "stream without [DONE]", Fine: true, Stream: true, Serve: answers("", event(goodChunk)+event(goodEnd))},
		{Name: "plain answer to a stream", Fine: true, Stream: true, Serve: status(200, good)},
		{Name: "stream as answer to a plain call", Fine: true, Plain: true, Serve: trickle(event(goodChunk)+event(goodEnd)+done, "text/event-stream")},
		{Name: "JSON called text", Fine: true, Plain: true, Serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			say(w, good)
		}},
		{Name: "JSON called HTML", Fine: true, Plain: true, Serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=latin-1")
			say(w, " "+good)
		}},
		{Name: "stream called text", Fine: true, Stream: true, Serve: trickle("\r\n: hello\r\n\r\n"+event(goodChunk)+event(goodEnd)+done, "text/plain")},
	}
}
