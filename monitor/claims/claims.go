package claims

import (
	"context"
	"fmt"

	"gnothi/monitor"
	"gnothi/text"
)

// Limit is how many claims of an answer are checked where nobody says otherwise.
const Limit = 100

// Source is where support for claims comes from. Its value is part of the key
// of the evidence, so it is comparable.
type Source interface {
	// Name is the signal's, family and all.
	Name() string
	// Support judges every claim of the candidate. An error comes with what was
	// found out before it.
	Support(ctx context.Context, t *monitor.Trial, c *monitor.Candidate, claims []text.Claim) ([]Support, error)
}

// Sources lists every source that has a name, set as its signal is.
func Sources() []Source {
	return []Source{Samples{}, Samples{CoT: true}, Context{}, Knowledge{}, NGram{}, Particulars{}, SelfCheck()}
}

// Status says what became of a claim. The zero value is that nobody looked.
type Status uint8

// The statuses.
const (
	NotChecked   Status = iota // no verdict was asked for or paid
	Checked                    // there is a score
	Unparsed                   // verdicts came, and none could be read
	Failed                     // the model failed
	Inapplicable               // the source has nothing to say of this claim
)

// String names the status.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "unknown"
}

var statusNames = [...]string{"not checked", "checked", "unparsed", "failed", "inapplicable"}

// Support is what a source says of a claim.
type Support struct {
	Status Status
	Score  float64 // in [0,1], 1 is supported; of a checked claim only
	Raw    float64 // before the map to [0,1]; each source documents it
	Source string  // samples, context, asked, logprobs
	// Verdicts by what they were. An unclear one counts one half.
	Yes, No, Unclear, Failures int
}

// Reads is how many verdicts, or texts, the score rests on.
func (s Support) Reads() int { return s.Yes + s.No + s.Unclear }

// Report is what is known of an answer's claims: Supports[i] is of Claims[i].
type Report struct {
	Claims   []text.Claim
	Supports []Support
	Left     int   // claims beyond the limit, which nobody looked at
	Err      error // what ended the checking early, if anything did
}

// Counts counts the claims by status.
func (r Report) Counts() map[Status]int {
	n := map[Status]int{}
	for _, s := range r.Supports {
		n[s.Status]++
	}
	return n
}

// Claims is the evidence of the statements of a candidate's text. Spans are of
// the text as the model gave it.
type Claims struct {
	Candidate *monitor.Candidate
	Limit     int // 0: [Limit]
}

// Split is a text's claims.
type Split struct {
	Claims []text.Claim
	Left   int // beyond the limit
}

// Gather implements monitor.Evidence.
func (e Claims) Gather(context.Context, *monitor.Trial) (Split, error) {
	if e.Limit == 0 {
		e.Limit = Limit
	}
	claims, left := text.Claims(e.Candidate.Text, e.Limit)
	return Split{claims, left}, nil
}

// Supports is the evidence of how far a source supports a candidate's claims.
// When a budget or the model gives out on the way, what was found out comes in
// the report, with the reason in its Err; an error means that there is nothing.
type Supports struct {
	Candidate *monitor.Candidate
	Source    Source
	Limit     int // 0: [Limit]
}

// Gather implements monitor.Evidence.
func (e Supports) Gather(ctx context.Context, t *monitor.Trial) (Report, error) {
	split, err := monitor.Get(ctx, t, Claims{e.Candidate, e.Limit})
	if err != nil {
		return Report{}, err
	}
	if len(split.Claims) == 0 {
		return Report{}, &monitor.MissingError{Needs: "a claim: nothing in the text can be true or false"}
	}
	r := Report{Claims: split.Claims, Left: split.Left}
	f, err := monitor.Get(ctx, t, findings{e.Candidate, e.Source, len(split.Claims)})
	if err != nil {
		return Report{}, err
	}
	r.Supports, err = f.supports, f.err
	if n := r.Counts(); err != nil && n[Checked]+n[Unparsed] == 0 {
		return Report{}, err
	}
	r.Err = err
	return r, nil
}

// findings is what a source says of the first n claims of a candidate. A source
// made of others asks for theirs through it, so that nothing is paid twice.
type findings struct {
	candidate *monitor.Candidate
	source    Source
	n         int
}

type found struct {
	supports []Support
	err      error
}

// Gather implements monitor.Evidence. Only a cancellation is its own error.
func (e findings) Gather(ctx context.Context, t *monitor.Trial) (found, error) {
	split, err := monitor.Get(ctx, t, Claims{e.candidate, e.n})
	if err != nil {
		return found{}, err
	}
	var f found
	f.supports, f.err = e.source.Support(ctx, t, e.candidate, split.Claims)
	return f, ctx.Err()
}

// Signal makes a signal of a source: raw and score are the mean support of the
// claims, of which the Parts tell. A claim whose verdicts could not be read
// counts one half; one that was not checked at all makes the reading an error,
// for a mean over the rest would be of another text.
func Signal(s Source) monitor.Signal { return signal{s} }

type signal struct{ Source }

func (s signal) Score(ctx context.Context, t *monitor.Trial, cs []*monitor.Candidate) ([]monitor.Reading, error) {
	out := make([]monitor.Reading, len(cs))
	for i, c := range cs {
		r, err := monitor.Get(ctx, t, Supports{Candidate: c, Source: s.Source})
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", s.Name(), ctx.Err())
		}
		if err != nil {
			out[i].Err = err
			continue
		}
		out[i] = r.reading()
	}
	return out, nil
}

func (r Report) reading() monitor.Reading {
	var out monitor.Reading
	n := 0
	for i, s := range r.Supports {
		switch s.Status {
		case Checked:
			out.Parts = append(out.Parts, monitor.Part{Text: r.Claims[i].Text, Span: [2]int{r.Claims[i].Span.Start, r.Claims[i].Span.End}, Score: s.Score})
		case Unparsed:
			s.Score = 0.5
		default:
			continue
		}
		n++
		out.Score += s.Score
		out.Reads += s.Reads()
		out.Source = s.Source
	}
	counts := r.Counts()
	mean := out.Score / float64(max(n, 1))
	out.Score = 0
	switch missing := counts[NotChecked] + counts[Failed]; {
	case missing > 0 || r.Left > 0:
		why := r.Err
		if why == nil {
			why = fmt.Errorf("at most %d are checked", len(r.Claims))
		}
		out.Err = fmt.Errorf("claims: %d of %d claims have no verdict: %w", missing+r.Left, len(r.Claims)+r.Left, why)
	case counts[Unparsed] == n && n > 0:
		out.Err = &monitor.MissingError{Needs: "a yes or no in reply; the model gave none to any claim"}
	case n == 0:
		out.Err = &monitor.MissingError{Needs: "a claim that the source can look up"}
	default:
		out.Score, out.Raw = mean, mean
	}
	return out
}

// done marks what a source has found out, once all verdicts are in.
func done(out []Support, source string) {
	for i := range out {
		s := &out[i]
		s.Source = source
		switch {
		case s.Status == Checked || s.Status == Inapplicable:
		case s.Yes+s.No > 0:
			s.Status = Checked
		case s.Unclear > 0:
			s.Status = Unparsed
		case s.Failures > 0:
			s.Status = Failed
		}
	}
}
