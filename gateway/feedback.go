package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"gnothi"
	"gnothi/control"
	"gnothi/llm/openai"
	"gnothi/monitor/calibrate"
	"gnothi/store"
)

// verdict is a line of the feedback file: what was believed of an answer, and
// whether it was right. It holds no text.
type verdict struct {
	Schema      int              `json:"schema"`
	Time        time.Time        `json:"time"`
	ID          string           `json:"id"`
	Correct     bool             `json:"correct"`
	By          string           `json:"by,omitempty"`    // client, page, audit
	Audit       float64          `json:"audit,omitempty"` // the chance of being marked for labelling
	Marked      bool             `json:"marked,omitempty"`
	Probability *float64         `json:"probability"`
	Calibration string           `json:"calibration"`
	Decision    control.Decision `json:"decision"`
	Signals     []gnothi.Signal  `json:"signals"`
	Policy      string           `json:"policy"`
	Form        string           `json:"form"`
	Model       string           `json:"model"`
	Key         calibrate.Key    `json:"calibrator_key"`

	client string // the name of the key that the answer went to
}

func verdictOf(b gnothi.Belief, key calibrate.Key, audit float64) verdict {
	return verdict{
		Schema: 1, ID: b.ID, Audit: audit, Marked: b.Audit, Probability: b.Probability, Calibration: string(b.Calibration.Status), Decision: b.Decision,
		Signals: b.Signals, Policy: b.Policy, Form: b.Form, Model: b.Model, Key: key,
	}
}

// recent keeps what a verdict needs to know of the latest answers, where no trials
// are kept.
type recent struct {
	mu     sync.Mutex
	byID   map[string]verdict
	latest []string // a ring
	next   int
}

const remembered = 10_000

func newRecent() *recent {
	return &recent{byID: map[string]verdict{}, latest: make([]string, remembered)}
}

func (m *recent) keep(v verdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, again := m.byID[v.ID]; !again {
		delete(m.byID, m.latest[m.next])
		m.latest[m.next] = v.ID
		m.next = (m.next + 1) % len(m.latest)
	}
	m.byID[v.ID] = v
}

func (m *recent) find(id string) (verdict, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.byID[id]
	return v, ok
}

// feedback serves POST /v1/feedback: {id, correct}, where id is that of an answer.
func (g *Gateway) feedback(w http.ResponseWriter, r *http.Request) error {
	if g.Feedback == nil && g.Trials == nil {
		return &failure{status: http.StatusNotImplemented, kind: badRequest, code: "no_feedback", message: "feedback is not kept here: start the server with --feedback FILE, or without --no-trials"}
	}
	raw, err := body(w, r)
	if err != nil {
		return err
	}
	var said struct {
		ID      string `json:"id"`
		Correct *bool  `json:"correct"`
		Audit   bool   `json:"audit"`
	}
	switch err := json.Unmarshal(raw, &said); {
	case err != nil:
		return invalid("", "the body is not {\"id\": ID, \"correct\": true or false}: %s", openai.Plain(err))
	case said.ID == "":
		return invalid("id", "id: is missing; it is the id of the answer")
	case said.Correct == nil:
		return invalid("correct", "correct: has to be true or false")
	}
	by := "client"
	if said.Audit {
		by = store.ByAudit
	}
	v, err := g.judge(r.Context(), said.ID, *said.Correct, by)
	if err != nil {
		return err
	}
	return answerJSON(w, encode(map[string]any{"id": v.ID, "correct": v.Correct, "probability": v.Probability}))
}

// judge keeps a verdict with its trial and in the feedback file.
func (g *Gateway) judge(ctx context.Context, id string, correct bool, by string) (v verdict, err error) {
	now := time.UnixMilli(time.Now().UnixMilli()) // as the store keeps it
	client := clientOf(ctx)
	if g.Trials != nil {
		if !client.Admin { // whose answers are others' is not to be told
			if t, err := g.Trials.Get(ctx, id); err != nil && !errors.Is(err, store.ErrNoTrial) {
				return v, fmt.Errorf("feedback: %w", err)
			} else if err != nil || t.Key != client.Name {
				return v, unknownAnswer(id)
			}
		}
		t, err := g.Trials.Judge(ctx, id, store.Verdict{At: now, Correct: correct, By: by, Key: keyName(ctx)})
		if errors.Is(err, store.ErrNoTrial) {
			return v, unknownAnswer(id)
		}
		if err != nil {
			return v, fmt.Errorf("feedback: %w", err)
		}
		var k Kept
		if err := json.Unmarshal(t.Body, &k); err != nil {
			return v, fmt.Errorf("feedback: the trial cannot be read: %w", err)
		}
		v = verdictOf(k.Belief, k.Explanation.Key, t.Audit)
		g.observe(ctx, t, now)
	} else {
		var ok bool
		if v, ok = g.recent.find(id); !ok || !client.Admin && v.client != client.Name {
			return v, unknownAnswer(id)
		}
	}
	v.ID, v.Time, v.Correct, v.By = id, now.UTC(), correct, by
	if g.Feedback != nil {
		g.verdicts.Lock() // one line at a time
		_, err = g.Feedback.Write(append(encode(v), '\n'))
		g.verdicts.Unlock()
		if err != nil {
			return v, fmt.Errorf("feedback: %w", err)
		}
	}
	g.metrics.feedback.WithLabelValues(fmt.Sprint(correct)).Inc()
	return v, nil
}

func unknownAnswer(id string) error {
	return &failure{status: http.StatusNotFound, kind: badRequest, code: "unknown_answer", param: "id", message: fmt.Sprintf("no answer that is kept has the id %.100q", id)}
}
