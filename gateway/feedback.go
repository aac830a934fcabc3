package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"gnothi"
	"gnothi/control"
)

// verdict is a line of the feedback file: what was believed of an answer, and
// whether it was right. It holds no text.
type verdict struct {
	Schema      int              `json:"schema"`
	Time        time.Time        `json:"time"`
	ID          string           `json:"id"`
	Correct     bool             `json:"correct"`
	Probability *float64         `json:"probability"`
	Calibration string           `json:"calibration"`
	Decision    control.Decision `json:"decision"`
	Signals     []gnothi.Signal  `json:"signals"`
	Policy      string           `json:"policy"`
	Form        string           `json:"form"`
	Model       string           `json:"model"`
}

// memory keeps the beliefs of the latest answers until their feedback comes.
type memory struct {
	mu     sync.Mutex
	byID   map[string]verdict
	latest []string // a ring
	next   int
}

const remembered = 10_000

func newMemory() *memory {
	return &memory{byID: map[string]verdict{}, latest: make([]string, remembered)}
}

func (m *memory) keep(b gnothi.Belief) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, again := m.byID[b.ID]; !again {
		delete(m.byID, m.latest[m.next])
		m.latest[m.next] = b.ID
		m.next = (m.next + 1) % len(m.latest)
	}
	m.byID[b.ID] = verdict{
		Schema: 1, ID: b.ID, Probability: b.Probability, Calibration: string(b.Calibration.Status), Decision: b.Decision,
		Signals: b.Signals, Policy: b.Policy, Form: b.Form, Model: b.Model,
	}
}

func (m *memory) find(id string) (verdict, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.byID[id]
	return v, ok
}

// feedback serves POST /v1/feedback: {id, correct}, where id is that of an answer.
func (g *Gateway) feedback(w http.ResponseWriter, r *http.Request) error {
	if g.Feedback == nil {
		return &failure{status: http.StatusNotImplemented, kind: badRequest, code: "no_feedback", message: "feedback is not kept here: start the server with --feedback FILE"}
	}
	raw, err := body(w, r)
	if err != nil {
		return err
	}
	var said struct {
		ID      string `json:"id"`
		Correct *bool  `json:"correct"`
	}
	switch err := json.Unmarshal(raw, &said); {
	case err != nil:
		return invalid("", "the body is not {\"id\": ID, \"correct\": true or false}: %v", err)
	case said.ID == "":
		return invalid("id", "id: is missing; it is the id of the answer")
	case said.Correct == nil:
		return invalid("correct", "correct: has to be true or false")
	}
	v, ok := g.memory.find(said.ID)
	if !ok {
		return &failure{status: http.StatusNotFound, kind: badRequest, code: "unknown_answer", param: "id", message: fmt.Sprintf("no answer of the latest %d has the id %.100q", remembered, said.ID)}
	}
	v.Time, v.Correct = time.Now().UTC(), *said.Correct
	g.verdicts.Lock() // one line at a time
	_, err = g.Feedback.Write(append(encode(v), '\n'))
	g.verdicts.Unlock()
	if err != nil {
		return fmt.Errorf("feedback: %w", err)
	}
	g.metrics.feedback.WithLabelValues(fmt.Sprint(v.Correct)).Inc()
	return answerJSON(w, encode(map[string]any{"id": v.ID, "correct": v.Correct, "probability": v.Probability}))
}
