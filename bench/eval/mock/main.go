package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"hash/maphash"
	"log"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// behaviour is what the flags and POST /set say.
type behaviour struct {
	latency    time.Duration
	p429, p500 float64 // of the requests, drawn anew for each
	retryAfter string  // with a 429
	bears      int     // more in flight are answered 429; 0: any number
	// Of every thousand items, each group after the other.
	fail, refuse, empty, unparsed, wrong int
}

func (b *behaviour) flags(f *flag.FlagSet) {
	f.DurationVar(&b.latency, "latency", b.latency, "time of every answer")
	f.Float64Var(&b.p429, "p429", b.p429, "share of requests answered 429")
	f.Float64Var(&b.p500, "p500", b.p500, "share of requests answered 500")
	f.StringVar(&b.retryAfter, "retry-after", b.retryAfter, "Retry-After of a 429, in seconds")
	f.IntVar(&b.bears, "bears", b.bears, "requests in flight beyond which the answer is 429; 0: none")
	f.IntVar(&b.fail, "fail", b.fail, "of 1000 items: always answered 500")
	f.IntVar(&b.refuse, "refuse", b.refuse, "of 1000 items: refused")
	f.IntVar(&b.empty, "empty", b.empty, "of 1000 items: answered with nothing")
	f.IntVar(&b.unparsed, "unparsed", b.unparsed, "of 1000 items: answered with no number")
	f.IntVar(&b.wrong, "wrong", b.wrong, "of 1000 items: answered wrongly")
}

// fate is what becomes of an item's answers.
type fate int

const (
	right fate = iota
	failing
	refused
	empty
	unparsed
	wrong
)

// fateOf spreads the groups over the items: 577 has no divisor in common with 1000.
func (b *behaviour) fateOf(item int) fate {
	place := item * 577 % 1000
	for _, g := range []struct {
		n    int
		fate fate
	}{{b.fail, failing}, {b.refuse, refused}, {b.empty, empty}, {b.unparsed, unparsed}, {b.wrong, wrong}} {
		if place -= g.n; place < 0 {
			return g.fate
		}
	}
	return right
}

// counts is what the server saw. Its JSON is the answer of GET /stats.
type counts struct {
	Requests int     `json:"requests"`
	OK       int     `json:"ok"`
	S429     int     `json:"s429"`
	S500     int     `json:"s500"`
	Gone     int     `json:"gone"` // the client left before the answer
	InFlight int     `json:"in_flight"`
	Most     int     `json:"most_in_flight"`
	Mean     float64 `json:"mean_in_flight"` // over the time from the first request to the last answer
	Span     float64 `json:"span_s"`         // that time
	First    float64 `json:"first_unix"`
	Last     float64 `json:"last_unix"`
	Distinct int     `json:"distinct"` // conversations that got an answer
	Again    int     `json:"again"`    // answers beyond the first for the same conversation
}

type server struct {
	now atomic.Pointer[behaviour]

	mu          sync.Mutex
	seen        counts
	answered    map[uint64]bool
	first, last time.Time
	changed     time.Time
	area        float64 // in flight, times seconds
}

func (s *server) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = counts{InFlight: s.seen.InFlight, Most: s.seen.InFlight}
	s.answered, s.first, s.last, s.area = map[uint64]bool{}, time.Time{}, time.Time{}, 0
}

func (s *server) move(by int) (inFlight int) {
	t := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first.IsZero() {
		s.first = t
	} else {
		s.area += float64(s.seen.InFlight) * t.Sub(s.changed).Seconds()
	}
	s.changed = t
	s.seen.InFlight += by
	s.seen.Most = max(s.seen.Most, s.seen.InFlight)
	if by > 0 {
		s.seen.Requests++
	} else {
		s.last = t
	}
	return s.seen.InFlight
}

func (s *server) count(status int, conversation uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch status {
	case http.StatusOK:
		s.seen.OK++
		if s.answered[conversation] {
			s.seen.Again++
		}
		s.answered[conversation] = true
	case http.StatusTooManyRequests:
		s.seen.S429++
	case http.StatusInternalServerError:
		s.seen.S500++
	default:
		s.seen.Gone++
	}
}

func (s *server) stats(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	c := s.seen
	c.Distinct = len(s.answered)
	if c.Span = s.last.Sub(s.first).Seconds(); c.Span > 0 {
		c.Mean = s.area / c.Span
	}
	c.First, c.Last = float64(s.first.UnixMicro())/1e6, float64(s.last.UnixMicro())/1e6
	s.mu.Unlock()
	_ = json.NewEncoder(w).Encode(c)
}

type request struct {
	Model    string `json:"model"`
	N        int    `json:"n"`
	Messages []struct {
		Content string `json:"content"`
	} `json:"messages"`
}

var (
	itemAt = regexp.MustCompile(`Question (\d+):`)
	sumAt  = regexp.MustCompile(`(\d+) \+ (\d+)`)
	seed   = maphash.MakeSeed()
)

func (s *server) chat(w http.ResponseWriter, r *http.Request) {
	b := s.now.Load()
	inFlight := s.move(1)
	status, conversation := 0, uint64(0)
	defer func() {
		s.count(status, conversation)
		s.move(-1)
	}()
	var q request
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	item, sum := 0, 0
	var h maphash.Hash
	h.SetSeed(seed)
	for _, m := range q.Messages {
		_, _ = h.WriteString(m.Content)
		_ = h.WriteByte(0)
		if found := itemAt.FindStringSubmatch(m.Content); found != nil {
			item, _ = strconv.Atoi(found[1])
		}
		if found := sumAt.FindStringSubmatch(m.Content); found != nil {
			x, _ := strconv.Atoi(found[1])
			y, _ := strconv.Atoi(found[2])
			sum = x + y
		}
	}
	conversation = h.Sum64()
	fate, draw := b.fateOf(item), rand.Float64()
	w.Header().Set("Content-Type", "application/json")
	if tooMany := b.bears > 0 && inFlight > b.bears; tooMany || draw < b.p429 {
		status = http.StatusTooManyRequests
		if b.retryAfter != "" {
			w.Header().Set("Retry-After", b.retryAfter)
		}
		fail(w, status, "too many requests")
		return
	}
	select {
	case <-time.After(b.latency):
	case <-r.Context().Done():
		return
	}
	if fate == failing || draw < b.p429+b.p500 {
		status = http.StatusInternalServerError
		fail(w, status, "out of order")
		return
	}
	status = http.StatusOK
	reply := strconv.Itoa(sum)
	switch fate {
	case refused:
		reply = "I'm sorry, but I can't help with that."
	case empty:
		reply = ""
	case unparsed:
		reply = "That depends on what is counted, so let me think about it some more."
	case wrong:
		reply = strconv.Itoa(sum + 1)
	}
	choices := make([]map[string]any, max(1, q.N))
	for i := range choices {
		choices[i] = map[string]any{"index": i, "finish_reason": "stop", "message": map[string]any{"role": "assistant", "content": reply}}
	}
	prompt, completion := 12+len(q.Messages)*40, len(choices)*(1+len(reply)/4)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"id": fmt.Sprintf("chatcmpl-%x", conversation), "object": "chat.completion", "created": time.Now().Unix(), "model": q.Model, "choices": choices,
		"usage": map[string]int{"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
	})
}

func fail(w http.ResponseWriter, status int, message string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"message": message, "type": "mock"}})
}

// set changes the behaviour: POST /set?latency=20ms&fail=18 names flags.
func (s *server) set(w http.ResponseWriter, r *http.Request) {
	next := *s.now.Load()
	f := flag.NewFlagSet("set", flag.ContinueOnError)
	next.flags(f)
	for name, values := range r.URL.Query() {
		if err := f.Set(name, values[0]); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	s.now.Store(&next)
	s.reset()
}

func main() {
	var b behaviour
	addr := flag.String("addr", "127.0.0.1:8123", "where to listen")
	b.flags(flag.CommandLine)
	flag.Parse()
	s := &server{}
	s.now.Store(&b)
	s.reset()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", s.chat)
	mux.HandleFunc("GET /stats", s.stats)
	mux.HandleFunc("POST /set", s.set)
	log.Fatal(http.ListenAndServe(*addr, mux))
}
