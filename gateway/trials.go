package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"gnothi"
	"gnothi/llm"
	"gnothi/monitor/calibrate"
	"gnothi/store"
	"gnothi/text"
)

// Kept is the body of a [store.Trial]: everything that was considered for an
// answer, as JSON. It holds no key and no header.
type Kept struct {
	Schema      int                `json:"schema"`
	Belief      gnothi.Belief      `json:"belief"`
	Explanation gnothi.Explanation `json:"explanation"`
	Messages    []KeptMessage      `json:"messages"`
	// Delivered is what the client got, where that is not a candidate.
	Delivered string `json:"delivered,omitempty"`
	Reasoning string `json:"reasoning,omitempty"`
}

// KeptMessage is a turn of the client's conversation. Others names what it held
// beside text, such as image_url or tool_calls.
type KeptMessage struct {
	Role   string   `json:"role"`
	Text   string   `json:"text"`
	Others []string `json:"others,omitempty"`
}

const keptSchema = 1

// outcomeFailed is the outcome of a trial without an answer, beside those of
// beliefs.
const outcomeFailed = "failed"

// headLength is how much of question and answer lists show, in bytes.
const headLength = 240

// record keeps an answer, or why there is none, off the request's path.
func (g *Gateway) record(ctx context.Context, p *plan, a *answer, b gnothi.Belief, failed error) {
	if g.Trials == nil {
		if failed == nil && g.Feedback != nil {
			v := verdictOf(b, b.Study.Key, g.chance(b))
			v.client = keyName(ctx)
			g.recent.keep(v)
		}
		return
	}
	t := store.Trial{
		ID: cmp.Or(b.ID, p.id), At: time.Now().Add(-time.Duration(b.Spend.WallMS) * time.Millisecond), Key: keyName(ctx),
		Model: b.Model, Name: p.name, Policy: p.spec, Form: b.Form, Decision: string(b.Decision), Outcome: b.Outcome, Status: string(b.Calibration.Status),
		Probability: b.Probability, Calls: b.Spend.Calls, Tokens: b.Spend.PromptTokens + b.Spend.PromptCached + b.Spend.CompletionTokens, WallMS: b.Spend.WallMS,
		Audit: g.chance(b), Marked: b.Audit,
	}
	if b.Spend.USD != nil {
		nano := int64(*b.Spend.USD*1e9 + 0.5)
		t.NanoUSD = &nano
	}
	if b.Interval != nil {
		t.Low, t.High = &b.Interval[0], &b.Interval[1]
	}
	if b.Study != nil && b.Calibration.Status == calibrate.Calibrated {
		t.Calibrator = g.digests[b.Study.Key]
	}
	var delivered llm.Choice
	if failed != nil {
		// As the client is told it, without keys.
		b.Error = gjson.GetBytes(explain(failed).body(g.APIKey), "error.message").String()
		t.Outcome, t.Status, t.Decision, t.Probability = outcomeFailed, "", "", nil
	} else if len(a.result.Choices) > 0 {
		delivered = a.result.Choices[0]
	}
	messages := p.request.Messages
	g.Trials.Add(weight(messages, b), func() store.Trial {
		t.Question, t.Answer = head(b.Question), head(said(delivered))
		if b.Answer != nil {
			t.Answer = head(*b.Answer)
		}
		k := Kept{Schema: keptSchema, Belief: b, Explanation: b.Explain(), Messages: make([]KeptMessage, len(messages)), Delivered: said(delivered), Reasoning: delivered.Reasoning}
		if failed != nil {
			t.Answer = head(b.Error)
		}
		for i, m := range messages {
			k.Messages[i] = KeptMessage{m.Role, m.Text, others(m.Raw)}
		}
		t.Body, t.Texts = encode(k), k.texts()
		return t
	})
}

// texts is what a search looks through: each text once.
func (k Kept) texts() string {
	all := []string{k.Belief.Question, k.Delivered, k.Belief.Error}
	if k.Belief.Answer != nil {
		all = append(all, *k.Belief.Answer)
	}
	for _, m := range k.Messages {
		all = append(all, m.Text)
	}
	for _, s := range k.Explanation.Pool {
		all = append(all, s.Text)
	}
	var b strings.Builder
	seen := map[string]bool{}
	for _, s := range all {
		if !seen[s] {
			seen[s] = true
			b.WriteString(s)
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// weight is about what a trial holds in memory until it is written.
func weight(messages []llm.Message, b gnothi.Belief) int {
	n := 2048
	for _, m := range messages {
		n += len(m.Text) + len(m.Raw)
	}
	if b.Study != nil {
		for _, c := range b.Study.Result.Pool {
			n += len(c.Text) + len(c.Reasoning) + len(c.Raw) + 400*len(c.Tokens)
		}
	}
	return n
}

func head(s string) string {
	if len(s) <= headLength {
		return s
	}
	return text.Clip(s[:headLength], headLength-1) + "…"
}

// said is a choice's text, or the tools that it calls.
func said(c llm.Choice) string {
	if c.Text == "" && len(c.Raw) > 0 {
		return gjson.GetBytes(c.Raw, "message.tool_calls").Raw
	}
	return c.Text
}

// others names what a message holds beside text.
func others(raw json.RawMessage) []string {
	var names []string
	for _, part := range gjson.GetBytes(raw, "content.#.type").Array() {
		if part.String() != "text" {
			names = append(names, head(part.String()))
		}
	}
	for _, call := range gjson.GetBytes(raw, "tool_calls.#.function.name").Array() {
		names = append(names, "tool call: "+head(call.String()))
	}
	return names
}

// chance is the chance that an answer has to be marked.
func (g *Gateway) chance(b gnothi.Belief) float64 {
	if b.Outcome == text.Parsed.String() {
		return g.Audit
	}
	return 0
}

// audits picks the answers that are marked for labelling: by the request's seed
// and its ID, so that neither question nor answer bear on it.
func (g *Gateway) audits(p *plan, b gnothi.Belief) bool {
	return float64(llm.Derive(p.seed, "audit "+p.id, 0))/float64(llm.MaxSeed) < g.chance(b)
}

// keyName is the name of the client's key.
func keyName(ctx context.Context) string { return clientOf(ctx).Name }
