package local

import (
	"bytes"
	"encoding/json"
	"strings"

	"gnothi/engine"
	"gnothi/engine/token"
	"gnothi/llm"
)

// writer makes a choice of a sequence's tokens: it finds stop strings, which may
// lie across tokens, and passes on to a stream what can no longer belong to one.
type writer struct {
	m      *Model
	op     llm.Op
	dec    *token.Decoder
	choice llm.Choice
	starts []int // byte offset of each token in the text
	length int   // bytes of all tokens
	sent   int   // bytes of the text that the stream has
	told   int   // tokens that the stream has
	ended  bool
}

func newWriter(m *Model, op llm.Op, index int) *writer {
	return &writer{m: m, op: op, dec: token.NewDecoder(m.engine.Tokenizer()), choice: llm.Choice{Index: index}}
}

// step takes a token in. It returns false where the sequence is over.
func (w *writer) step(s engine.Step) (bool, error) {
	if s.Finish == engine.Stop {
		return false, w.end("stop")
	}
	text := w.dec.Next(s.ID)
	w.starts = append(w.starts, w.length)
	w.length += len(w.m.engine.Tokenizer().Piece(s.ID))
	if w.op.Request.LogProbs {
		w.choice.Tokens = append(w.choice.Tokens, w.m.token(s.Token, w.op.Request.TopLogProbs))
	}
	from := max(0, len(w.choice.Text)-w.longestStop())
	w.choice.Text += text
	if cut := w.find(from); cut >= 0 {
		w.cut(cut)
		return false, w.end("stop")
	}
	switch s.Finish {
	case engine.Length:
		return false, w.end("length")
	case engine.Complete:
		return false, w.end("stop")
	}
	return true, w.stream(len(w.choice.Text) - w.held())
}

// find gives the offset of the first stop string that begins at or after from.
func (w *writer) find(from int) int {
	at := -1
	for _, stop := range w.op.Request.Stop {
		if i := strings.Index(w.choice.Text[from:], stop); stop != "" && i >= 0 && (at < 0 || from+i < at) {
			at = from + i
		}
	}
	return at
}

func (w *writer) longestStop() int {
	n := 0
	for _, stop := range w.op.Request.Stop {
		n = max(n, len(stop))
	}
	return n
}

// held is how many bytes at the end may be the beginning of a stop string.
func (w *writer) held() int {
	most := 0
	for _, stop := range w.op.Request.Stop {
		for n := min(len(stop)-1, len(w.choice.Text)); n > most; n-- {
			if strings.HasSuffix(w.choice.Text, stop[:n]) {
				most = n
				break
			}
		}
	}
	return most
}

// cut ends the text before a stop string, and the tokens with it; a token that
// reaches over the cut is shortened.
func (w *writer) cut(at int) {
	w.choice.Text = w.choice.Text[:at]
	for i := range w.choice.Tokens {
		if w.starts[i] >= at {
			w.choice.Tokens = w.choice.Tokens[:i]
			return
		}
		if t := &w.choice.Tokens[i]; w.starts[i]+len(t.Text) > at {
			t.Text = t.Text[:at-w.starts[i]]
		}
	}
}

// stream passes the text up to an offset on.
func (w *writer) stream(to int) error {
	if w.op.Stream == nil || to <= w.sent {
		return nil
	}
	e := llm.Event{Index: w.choice.Index, Text: w.choice.Text[w.sent:to]}
	w.sent = to
	for w.told < len(w.choice.Tokens) && w.starts[w.told] < to {
		e.Tokens = append(e.Tokens, w.choice.Tokens[w.told])
		w.told++
	}
	return w.op.Stream(e)
}

func (w *writer) end(finish string) error {
	w.ended = true
	w.choice.Text += w.dec.Flush()
	w.choice.Finish = finish
	if err := w.stream(len(w.choice.Text)); err != nil || w.op.Stream == nil {
		return err
	}
	return w.op.Stream(llm.Event{Index: w.choice.Index, Finish: finish})
}

func (w *writer) close() (llm.Choice, error) {
	if w.ended {
		return w.choice, nil
	}
	return w.choice, w.end("length")
}

// hasParts reports whether a message carries anything but text.
func hasParts(m llm.Message) bool {
	if len(m.Raw) == 0 {
		return false
	}
	var msg struct {
		Content   json.RawMessage   `json:"content"`
		ToolCalls []json.RawMessage `json:"tool_calls"`
		Audio     json.RawMessage   `json:"audio"`
	}
	if json.Unmarshal(m.Raw, &msg) != nil || len(msg.ToolCalls) > 0 || len(msg.Audio) > 0 && !bytes.Equal(msg.Audio, []byte("null")) {
		return true
	}
	var parts []struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(msg.Content, &parts) != nil {
		return false // plain text or null
	}
	for _, p := range parts {
		if p.Type != "text" {
			return true
		}
	}
	return false
}
