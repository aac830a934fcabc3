package llm

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"net/http"
	"strings"
	"time"
)

// Finding is what was found out about an ability of a model, and when.
type Finding struct {
	Ability Ability   `json:"ability"`
	Can     bool      `json:"can"`
	Why     string    `json:"why,omitempty"` // why not
	At      time.Time `json:"at"`
}

// Probe tries what a model can do, by small calls: about a dozen, of some 20
// tokens each. It believes what it sees and not that nothing was refused: a
// picture has to be seen, a schema kept to, a seed to bring the same text again
// where another brings another. An error that says nothing about abilities (no
// connection, no key, a limit) ends it.
func Probe(ctx context.Context, m Model) ([]Finding, error) {
	var findings []Finding
	for _, p := range []struct {
		ability Ability
		try     func(context.Context, Model) error
	}{
		{LogProbs, probeLogProbs}, {Several, probeSeveral}, {Seeded, probeSeed}, {Streaming, probeStream}, {Tools, probeTools},
		{Images, probeImage}, {Schema, probeSchema}, {Prefill, probePrefill}, {RawPrompt, probeRaw},
	} {
		err := p.try(ctx, m)
		if ended(ctx, err) {
			return findings, fmt.Errorf("probe of %s: %s: %w", m.ID(), p.ability, err)
		}
		f := Finding{Ability: p.ability, Can: err == nil, At: time.Now().UTC().Truncate(time.Second)}
		if err != nil {
			f.Why = err.Error()
		}
		findings = append(findings, f)
	}
	return findings, nil
}

// ended tells errors that are not about what was asked.
func ended(ctx context.Context, err error) bool {
	var api *APIError
	switch {
	case err == nil:
		return false
	case ctx.Err() != nil, errors.Is(err, ErrBudget), errors.Is(err, ErrStopped):
		return true
	case errors.As(err, &api):
		switch api.Status {
		case 0, http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		case http.StatusNotFound:
			return strings.Contains(strings.ToLower(api.Message), "model")
		}
	}
	return false
}

// probing is a question as a request.
func probing(text string, tokens int) Op {
	greedy := 0.0
	return Op{Role: "probe", Request: Request{Messages: []Message{{Role: "user", Text: text}}, MaxTokens: tokens, Temperature: &greedy}}
}

// first asks for one choice.
func first(ctx context.Context, m Model, op Op) (Choice, error) {
	res, err := m.Do(ctx, op)
	if err != nil {
		return Choice{}, err
	}
	if len(res.Choices) == 0 {
		return Choice{}, errors.New("no choice came back")
	}
	return res.Choices[0], nil
}

func probeLogProbs(ctx context.Context, m Model) error {
	op := probing("Say yes.", 16)
	op.Request.LogProbs = true
	c, err := first(ctx, m, op)
	if err == nil && len(c.Tokens) == 0 { // some give them with alternatives only
		op.Request.TopLogProbs = 1
		c, err = first(ctx, m, op)
	}
	if err == nil && len(c.Tokens) == 0 {
		err = errors.New("the answer has none")
	}
	return err
}

// probeSeveral leaves it to the provider, which learns from the call, to say
// whether the choices came together.
func probeSeveral(ctx context.Context, m Model) error {
	op := probing("Say yes.", 16)
	op.Indices = []int{0, 1}
	switch res, err := m.Do(ctx, op); {
	case err != nil:
		return err
	case len(res.Choices) != 2:
		return fmt.Errorf("%d choices came back, not 2", len(res.Choices))
	case !m.Can(Several):
		return errors.New("each choice is a call of its own")
	}
	return nil
}

func probeSeed(ctx context.Context, m Model) error {
	hot := 1.0
	var texts []string
	for _, seed := range []uint64{11, 11, 12} {
		op := probing("Write a line of twenty digits, as random as you can.", 32)
		op.Seed, op.Request.Temperature = seed, &hot
		c, err := first(ctx, m, op)
		if err != nil {
			return err
		}
		texts = append(texts, c.Text)
	}
	switch {
	case texts[0] != texts[1]:
		return errors.New("the same seed gave two texts")
	case texts[0] == texts[2]:
		return errors.New("two seeds gave the same text, so that one seed's two say nothing")
	}
	return nil
}

func probeStream(ctx context.Context, m Model) error {
	op := probing("Count from one to eight in words.", 32)
	pieces := 0
	op.Stream = func(e Event) error {
		if e.Text != "" {
			pieces++
		}
		return nil
	}
	_, err := first(ctx, m, op)
	if err == nil && pieces < 2 {
		err = errors.New("the answer came in one piece")
	}
	return err
}

func probeTools(ctx context.Context, m Model) error {
	op := probing("What time is it in Rome? Use the tool.", 64)
	op.Request.Extra = map[string]json.RawMessage{
		"tools": json.RawMessage(`[{"type":"function","function":{"name":"time_in","description":"Tells the time in a city","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]`),
	}
	c, err := first(ctx, m, op)
	if err == nil && !bytes.Contains(c.Raw, []byte(`"time_in"`)) {
		err = errors.New("the tool was not called")
	}
	return err
}

func probeImage(ctx context.Context, m Model) error {
	picture := image.NewRGBA(image.Rect(0, 0, 32, 32))
	draw.Draw(picture, picture.Bounds(), image.NewUniform(color.RGBA{R: 255, A: 255}), image.Point{}, draw.Src)
	var file bytes.Buffer
	if err := png.Encode(&file, picture); err != nil {
		return err
	}
	const ask = "Which colour is this picture? One word."
	raw, err := json.Marshal(map[string]any{"role": "user", "content": []any{
		map[string]any{"type": "text", "text": ask},
		map[string]any{"type": "image_url", "image_url": map[string]string{"url": "data:image/png;base64," + base64.StdEncoding.EncodeToString(file.Bytes())}},
	}})
	if err != nil {
		return err
	}
	op := probing(ask, 16)
	op.Request.Messages[0].Raw = raw
	c, err := first(ctx, m, op)
	if err == nil && !strings.Contains(strings.ToLower(c.Text), "red") {
		err = fmt.Errorf("a red picture was said to be %.40q", c.Text)
	}
	return err
}

func probeSchema(ctx context.Context, m Model) error {
	op := probing("Say hello.", 48)
	op.Request.Extra = map[string]json.RawMessage{
		"response_format": json.RawMessage(`{"type":"json_schema","json_schema":{"name":"probe","strict":true,"schema":{"type":"object","properties":{"seven":{"type":"integer"}},"required":["seven"],"additionalProperties":false}}}`),
	}
	c, err := first(ctx, m, op)
	if err != nil {
		return err
	}
	var said map[string]int
	if json.Unmarshal([]byte(c.Text), &said) != nil || len(said) != 1 {
		return fmt.Errorf("the answer is not in the schema's form: %.60q", c.Text)
	}
	return nil
}

func probePrefill(ctx context.Context, m Model) error {
	op := probing("What is the capital of France?", 8)
	op.Request.Messages = append(op.Request.Messages, Message{Role: "assistant", Text: "The capital of France is the city of Par"})
	c, err := first(ctx, m, op)
	if err == nil && !strings.HasPrefix(c.Text, "is") {
		err = fmt.Errorf("%q was said instead of the rest", c.Text)
	}
	return err
}

func probeRaw(ctx context.Context, m Model) error {
	op := Op{Role: "probe", Request: Request{Prompt: "1 2 3 4 5 6 7", MaxTokens: 4}}
	greedy := 0.0
	op.Request.Temperature = &greedy
	c, err := first(ctx, m, op)
	if err == nil && !strings.Contains(c.Text, "8") {
		err = fmt.Errorf("after 1 2 3 4 5 6 7 came %.40q", c.Text)
	}
	return err
}
