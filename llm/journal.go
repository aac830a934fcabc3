package llm

import (
	"context"
	"encoding/json"
	"errors"
)

// Journal is where the finished choices of a piece of work are written down, so
// that work which was cut off goes on without asking again. It is safe for
// concurrent use.
type Journal interface {
	// Get finds what an earlier life of the work wrote down; what this one
	// writes need not be found.
	Get(key string) ([]byte, bool)
	// Put writes down entries that belong together: all of them survive or none.
	// It may return before they are durable, as long as what is written later is
	// not durable sooner. What cannot be written down fails the call, so that
	// nothing counts that would be lost.
	Put([]JournalEntry) error
}

// JournalEntry is one finished choice.
type JournalEntry struct {
	Key   string
	Value []byte // JSON, a [Written]
}

// Written is what a journal's entry says to a reader.
type Written struct {
	Role   string      `json:"role,omitempty"`
	Index  int         `json:"index,omitempty"`
	Prompt string      `json:"prompt,omitempty"` // the last message, or the end of a raw prompt; on the first choice of an operation
	Op     string      `json:"op,omitempty"`     // the same for what was asked alike; not where there is one choice, with its prompt
	Reply  savedChoice `json:"choice"`
	Usage  savedUsage  `json:"usage"`
	Spend  *savedSpend `json:"spend,omitempty"` // of the operation it came in; on its first choice
	Model  string      `json:"model,omitempty"`
}

// savedSpend is a [Spend] as it is written down.
type savedSpend struct {
	Calls            int64 `json:"calls,omitempty"`
	PromptTokens     int64 `json:"prompt,omitempty"`
	PromptCached     int64 `json:"cached,omitempty"`
	CompletionTokens int64 `json:"completion,omitempty"`
	NanoUSD          int64 `json:"nano_usd,omitempty"`
	Unpriced         int64 `json:"unpriced,omitempty"`
	CachedCalls      int64 `json:"cached_calls,omitempty"`
}

// Choice gives the choice itself.
func (w Written) Choice() Choice { return w.Reply.choice() }

// mostPrompt is how much of a prompt a journal shows, in bytes.
const mostPrompt = 600

// opID is how long the name of an operation is in a journal: enough to tell apart
// those of one item.
const opID = 6

// Journalled writes every choice down as soon as it is there and answers from
// what an earlier life wrote. Unlike a cache it gives a choice back with what it
// cost: the context's ledger is charged as it was then, and nothing is marked
// [Choice.Cached]. It stands above [Retry] and [Metered], so that the cost of
// failed tries is part of it. Hidden states are not written: they are cheap to
// make again and long to keep.
func Journalled(m Model, j Journal) Model { return &journalled{m, j} }

type journalled struct {
	Model
	journal Journal
}

// Do implements [Model].
func (m *journalled) Do(ctx context.Context, op Op) (*Result, error) {
	if op.Kind == Trace {
		return m.Model.Do(ctx, op)
	}
	ledger := LedgerFrom(ctx)
	// Whether log-probabilities are asked for hangs on what is known by now of the
	// model: an earlier life may have known more or less, and it was the same call.
	asked := op
	asked.Request.LogProbs, asked.Request.TopLogProbs = false, 0
	stem := m.ID().String() + " " + asked.Stem()
	known, missing := map[int]Written{}, []int(nil)
	keys, order := map[int]string{}, make([]int, op.N())
	for k := range order {
		i := op.Index(k)
		order[k] = i
		keys[i] = journalKey(stem, i)
		var w Written
		if b, ok := m.journal.Get(keys[i]); ok && json.Unmarshal(b, &w) == nil {
			known[i] = w
		} else {
			missing = append(missing, i)
		}
	}
	var old *Result
	if len(known) > 0 {
		var err error
		if old, err = m.again(ctx, ledger, op, known); err != nil || len(missing) == 0 {
			return old, err
		}
		op.Indices = missing
	}
	var account *Ledger
	if ledger != nil {
		account = ledger.Sub()
		ctx = WithLedger(ctx, account)
	}
	res, err := m.Model.Do(ctx, op)
	if res != nil {
		if lost := m.write(op, stem, keys, res, account); lost != nil {
			return nil, lost
		}
	}
	return merge(old, res, order), err
}

// again gives back what was written, with its cost.
func (m *journalled) again(ctx context.Context, ledger *Ledger, op Op, known map[int]Written) (*Result, error) {
	res := &Result{}
	for k := range op.N() {
		w, ok := known[op.Index(k)]
		if !ok {
			continue
		}
		if ledger != nil && w.Spend != nil {
			ledger.Charge(Spend(*w.Spend), op.Role)
		}
		choice := w.Choice()
		choice.Index = op.Index(k)
		if err := replay(op.Stream, choice); err != nil {
			return nil, err
		}
		res.Choices = append(res.Choices, choice)
		res.Usage = Usage{
			res.Usage.PromptTokens + w.Usage.PromptTokens, res.Usage.PromptCached + w.Usage.PromptCached,
			res.Usage.CompletionTokens + w.Usage.CompletionTokens, res.Usage.NanoUSD + w.Usage.NanoUSD, w.Usage.Priced,
		}
		res.Model = w.Model
	}
	return res, ctx.Err()
}

// write puts the choices of one operation down together.
func (m *journalled) write(op Op, stem string, keys map[int]string, res *Result, account *Ledger) error {
	entries := make([]JournalEntry, 0, len(res.Choices))
	for i, c := range res.Choices {
		w := Written{Role: op.Role, Index: c.Index, Reply: saveChoice(c), Usage: savedUsage(share(res.Usage, len(res.Choices), i, c)), Model: res.Model}
		if c.Finish != "tool_calls" {
			w.Reply.Raw = nil // it says once more what the choice says
		}
		if c.Index != 0 || op.N() > 1 {
			w.Op = journalKey(stem, -1)[:opID]
		}
		if i == 0 {
			w.Prompt = promptEnd(op)
			if account != nil {
				spent := savedSpend(account.Spent())
				w.Spend = &spent
			}
			w.Usage.PromptCached, w.Usage.NanoUSD, w.Usage.Priced = res.Usage.PromptCached, res.Usage.NanoUSD, res.Usage.Priced
		}
		b, err := encode(w)
		if err != nil { // a log-probability that is no number
			continue
		}
		entries = append(entries, JournalEntry{keys[c.Index], b})
	}
	return m.journal.Put(entries)
}

func promptEnd(op Op) string {
	s := op.Request.Prompt
	if n := len(op.Request.Messages); s == "" && n > 0 {
		s = op.Request.Messages[n-1].Text
	}
	s += op.Continuation
	if len(s) > mostPrompt {
		s = "…" + s[len(s)-mostPrompt:]
	}
	return s
}

func journalKey(stem string, index int) string {
	d := newDigest("journal")
	d.text(stem)
	d.number(uint64(index))
	return d.sum()[:32]
}

// ErrStopped is what a model behind [Stoppable] answers with once it is asked
// for nothing more.
var ErrStopped = errors.New("stopped: no more calls are made")

// Stoppable refuses new calls once stop is closed; those that are under way end
// as they would.
func Stoppable(m Model, stop <-chan struct{}) Model {
	if stop == nil {
		return m
	}
	return &stoppable{m, stop}
}

type stoppable struct {
	Model
	stop <-chan struct{}
}

// Do implements [Model].
func (m *stoppable) Do(ctx context.Context, op Op) (*Result, error) {
	select {
	case <-m.stop:
		return nil, ErrStopped
	default:
		return m.Model.Do(ctx, op)
	}
}
