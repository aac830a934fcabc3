package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"gnothi/llm"
	"gnothi/llm/openai"
)

const (
	// writeTime is how long a client may take to accept an event.
	writeTime = time.Minute
	// silence is the longest that a deliberation lets a stream be without a sign.
	silence = 15 * time.Second
)

// stream answers a chat request with events.
func (g *Gateway) stream(ctx context.Context, w http.ResponseWriter, p *plan, answered func()) error {
	out := newEvents(w)
	defer out.close()
	var err error
	if p.direct {
		err = g.passEvents(ctx, out, p, answered)
	} else {
		err = g.deliberateEvents(ctx, out, p)
	}
	if err == nil {
		return out.data([]byte("[DONE]"))
	}
	err = reason(ctx, err)
	if out.begun() {
		_ = out.data(explain(err).body(g.APIKey)) // and no [DONE]: this is no clean end
	}
	return err
}

// passEvents passes the upstream's events on as they come. The last one waits
// for the belief.
func (g *Gateway) passEvents(ctx context.Context, out *events, p *plan, answered func()) error {
	pass := &passer{out: out, plan: p, envelope: p.envelope()}
	a, err := g.answer(ctx, p, func(e llm.Event) error {
		answered()
		return pass.event(e)
	}, nil)
	if err != nil {
		if out.begun() {
			_ = pass.release(nil)
		}
		return err
	}
	return pass.end(a)
}

// passer writes a direct stream.
type passer struct {
	out      *events
	plan     *plan
	envelope openai.Envelope
	named    bool // the upstream told its ID
	held     *llm.Event
	inside   int  // events still to come whose chunk is out already
	usage    bool // was told
}

func (s *passer) event(e llm.Event) error {
	s.out.header(e.Header)
	if s.inside > 0 {
		s.inside--
		return nil
	}
	if err := s.release(nil); err != nil {
		return err
	}
	last := e.Finish != ""
	if choices := gjson.GetBytes(e.Raw, "choices"); choices.IsArray() {
		list := choices.Array()
		s.inside = max(0, len(list)-1)
		last = len(list) == 0
		for _, c := range list {
			last = last || c.Get("finish_reason").String() != ""
		}
		s.usage = s.usage || gjson.GetBytes(e.Raw, "usage").IsObject()
		if id := gjson.GetBytes(e.Raw, "id").String(); id != "" && !s.named {
			s.envelope.ID, s.named = id, true
		}
		if s.plan.strip {
			e.Tokens = nil
			for i := range list {
				if raw, err := sjson.SetRawBytes(e.Raw, "choices."+strconv.Itoa(i)+".logprobs", []byte("null")); err == nil {
					e.Raw = raw
				}
			}
		}
	} else if s.plan.strip {
		e.Tokens = nil
	}
	if last {
		s.held = &e
		return nil
	}
	return s.write(e, nil)
}

// write writes an event, as it came where nothing in it changes.
func (s *passer) write(e llm.Event, extra map[string]json.RawMessage) error {
	if extra == nil && s.plan.call.N <= 1 && gjson.GetBytes(e.Raw, "choices").IsArray() {
		return s.out.data(oneLine(e.Raw))
	}
	env := s.envelope
	env.Extra = extra
	return s.out.data(openai.EncodeChunk(e, e.Index, env))
}

// release writes the event that was held back.
func (s *passer) release(extra map[string]json.RawMessage) error {
	if s.held == nil {
		return nil
	}
	e := *s.held
	s.held = nil
	return s.write(e, extra)
}

func (s *passer) end(a *answer) error {
	extra := map[string]json.RawMessage{"gnothi": a.json()}
	if s.plan.includeUsage && !s.usage {
		if err := s.release(nil); err != nil {
			return err
		}
		s.held = usageEvent(a.result.Usage)
	}
	if s.held == nil {
		s.held = &llm.Event{Finish: "stop"}
	}
	return s.release(extra)
}

// usageEvent is the chunk without choices that tells a stream's usage.
func usageEvent(u llm.Usage) *llm.Event {
	return &llm.Event{Raw: encode(map[string]any{"choices": []any{}, "usage": openai.EncodeUsage(nil, u)})}
}

// deliberateEvents sends signs of life until the answer is decided, then the
// answer.
func (g *Gateway) deliberateEvents(ctx context.Context, out *events, p *plan) error {
	stop := out.every(silence, "still deliberating")
	total := most(p.policy)
	defer stop()
	a, err := g.answer(ctx, p, nil, func(drawn int) {
		if drawn > 0 { // before that, a failure can still have its status
			out.comment(progressText(drawn, total))
		}
	})
	stop()
	out.hush()
	if err != nil {
		return err
	}
	out.header(a.result.Header)
	noteOf(ctx).decision = string(a.belief.Decision)
	c := a.result.Choices[0]
	all := c.Events()
	if first := besideContent(c); first != nil {
		all = append([]llm.Event{*first}, all...)
	}
	if p.includeUsage {
		all = append(all, *usageEvent(a.result.Usage))
	}
	for i, e := range all {
		if p.strip {
			e.Tokens = nil
		}
		if i == len(all)-1 {
			a.envelope.Extra = map[string]json.RawMessage{"gnothi": a.json()}
		}
		if err := out.data(openai.EncodeChunk(e, 0, a.envelope)); err != nil {
			return err
		}
	}
	return nil
}

// besideContent is an event with what a message holds beside its content, such
// as tool calls; nil if there is nothing.
func besideContent(c llm.Choice) *llm.Event {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(gjson.GetBytes(c.Raw, "message").Raw), &fields) != nil {
		fields = map[string]json.RawMessage{}
	}
	delete(fields, "content")
	for name, v := range fields {
		if string(v) == "null" {
			delete(fields, name)
		}
	}
	if c.Reasoning != "" && fields["reasoning_content"] == nil && fields["reasoning"] == nil {
		fields["reasoning_content"] = encode(c.Reasoning)
	}
	var calls []map[string]json.RawMessage
	if json.Unmarshal(fields["tool_calls"], &calls) == nil && calls != nil {
		for i := range calls {
			calls[i]["index"] = encode(i) // which deltas have and whole messages have not
		}
		fields["tool_calls"] = encode(calls)
	}
	if len(fields) == 0 || len(fields) == 1 && fields["role"] != nil {
		return nil
	}
	if fields["role"] == nil {
		fields["role"] = json.RawMessage(`"assistant"`)
	}
	return &llm.Event{Raw: encode(map[string]any{"choices": []any{map[string]any{"index": 0, "delta": fields, "finish_reason": nil}}})}
}

// oneLine keeps JSON from breaking the line it is sent on.
func oneLine(raw []byte) []byte {
	if bytes.ContainsAny(raw, "\r\n") {
		var b bytes.Buffer
		if json.Compact(&b, raw) == nil {
			return b.Bytes()
		}
	}
	return raw
}

// events writes server-sent events. Nothing goes out before the first one, so
// that what fails before can still have its status.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
	mu      sync.Mutex
	started bool
	hushed  bool
	err     error
	b       []byte
}

func newEvents(w http.ResponseWriter) *events {
	return &events{w: w, control: http.NewResponseController(w)}
}

func (s *events) begun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started
}

// errEnded is for those who write when the request is over, as a sample may that
// was under way when the client left: the writer is the server's again.
var errEnded = errors.New("the stream is over")

// close lifts the deadline, which is the connection's and not the answer's. Nothing
// is written any more.
func (s *events) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = errEnded
	}
	_ = s.control.SetWriteDeadline(time.Time{})
}

// hush ends the comments: what comes now is the answer, or why there is none.
func (s *events) hush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hushed = true
}

// header sets headers, as long as nothing has gone out.
func (s *events) header(h map[string]string) {
	if len(h) == 0 || s.begun() {
		return
	}
	for name, value := range h {
		s.w.Header().Set(name, value)
	}
}

// data writes an event.
func (s *events) data(p []byte) error { return s.line("data: ", p) }

// named writes an event that has a name.
func (s *events) named(name string, p []byte) error { return s.line("event: "+name+"\ndata: ", p) }

// comment writes a line that clients skip. If it fails so will the next event.
func (s *events) comment(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.hushed {
		_ = s.write(": ", []byte(text))
	}
}

func (s *events) line(prefix string, p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(prefix, p)
}

// write is line with mu held.
func (s *events) write(prefix string, p []byte) error {
	if s.err != nil {
		return s.err
	}
	if !s.started {
		s.started = true
		h := s.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(writeTime)) // a writer without deadlines, as in tests, waits
	s.b = append(append(append(s.b[:0], prefix...), p...), "\n\n"...)
	if _, s.err = s.w.Write(s.b); s.err == nil {
		s.err = s.control.Flush()
	}
	return s.err
}

// every writes a comment at intervals until it is stopped.
func (s *events) every(d time.Duration, text string) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		t := time.NewTicker(d)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				s.comment(text)
			case <-done:
				return
			}
		}
	})
	return sync.OnceFunc(func() { close(done); wg.Wait() })
}
