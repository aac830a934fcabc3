package llm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// BreakerOptions say when a breaker opens. Zero fields have the defaults given.
type BreakerOptions struct {
	Failures int           // in a row that open it; default 5
	Share    float64       // of at least 20 calls within Window that failed, which opens it too; default 0.5
	Window   time.Duration // default 30s
	Open     time.Duration // how long nothing is asked; then one call shows whether it is over; default 10s
	// Notify, if set, is told when the state changes.
	Notify func(BreakerState)
}

// BreakerState tells how a breaker stands.
type BreakerState struct {
	Upstream string    `json:"upstream"`
	State    string    `json:"state"`           // closed, open, half-open
	Until    time.Time `json:"until,omitzero"`  // open: when it is tried again
	Why      string    `json:"why,omitempty"`   // the failure that opened it last
	Opened   int64     `json:"opened"`          // times
	Refused  int64     `json:"refused"`         // calls that were not made
	Retries  int64     `json:"retries"`         // tries after the first
	Withheld int64     `json:"retries_refused"` // tries that the retry budget did not allow
}

// breakerLeast is how many calls a share is taken of at the least.
const breakerLeast = 20

// Breaker keeps calls from an upstream that fails, so that neither callers nor
// the upstream wait for what is lost: they get status 503 at once, with the time
// to wait. What fails for the request's own fault (4xx), for the caller's
// leaving or for a budget does not count, nor does a rate limit (429). It is safe
// for concurrent use.
type Breaker struct {
	name string
	o    BreakerOptions
	two  *gobreaker.TwoStepCircuitBreaker[any]

	mu      sync.Mutex
	until   time.Time
	last    string // the last failure
	why     string
	opened  int64
	refused int64
}

// NewBreaker makes a closed breaker; name is what errors call the upstream.
func NewBreaker(name string, o BreakerOptions) *Breaker {
	o.Failures = cmp.Or(max(0, o.Failures), 5)
	o.Share = cmp.Or(max(0, o.Share), 0.5)
	o.Window = cmp.Or(max(0, o.Window), 30*time.Second)
	o.Open = cmp.Or(max(0, o.Open), 10*time.Second)
	b := &Breaker{name: name, o: o}
	b.two = gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
		Name: name, MaxRequests: 1, Interval: o.Window, BucketPeriod: o.Window / 10, Timeout: o.Open,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			answered := c.TotalSuccesses + c.TotalFailures
			return int(c.ConsecutiveFailures) >= o.Failures || answered >= breakerLeast && float64(c.TotalFailures) >= o.Share*float64(answered)
		},
		IsExcluded:    func(err error) bool { return err != nil && !isUpstreams(err) },
		IsSuccessful:  func(err error) bool { return !failing(err) },
		OnStateChange: b.changed,
	})
	return b
}

// isUpstreams tells errors that an upstream or the way to it made.
func isUpstreams(err error) bool {
	var api *APIError
	return errors.As(err, &api)
}

// failing tells errors that show an upstream that is not well, from those that
// show one that answers.
func failing(err error) bool {
	var api *APIError
	if !errors.As(err, &api) {
		return false
	}
	// Below 400 the answer was none, or never came.
	return api.Status < 400 || api.Status == http.StatusRequestTimeout || api.Status >= 500 && api.Status != http.StatusNotImplemented
}

func (b *Breaker) changed(_ string, _, to gobreaker.State) {
	b.mu.Lock()
	if to == gobreaker.StateOpen {
		b.opened++
		b.until, b.why = time.Now().Add(b.o.Open), b.last
	}
	b.mu.Unlock()
	if b.o.Notify != nil {
		b.o.Notify(b.tell(to))
	}
}

// State gives the present state.
func (b *Breaker) State() BreakerState { return b.tell(b.two.State()) }

func (b *Breaker) tell(now gobreaker.State) BreakerState {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := BreakerState{Upstream: b.name, State: now.String(), Opened: b.opened, Refused: b.refused}
	if now != gobreaker.StateClosed {
		s.Why = b.why
	}
	if now == gobreaker.StateOpen {
		s.Until = b.until
	}
	return s
}

// Allow asks whether a call may be made. If so, done is to be called with its
// error, once or more often: the first time counts. If not, the error is an
// [APIError] with status 503 that says when to come again.
func (b *Breaker) Allow() (done func(error), err error) {
	report, err := b.two.Allow()
	if err == nil {
		var once sync.Once
		return func(err error) {
			if err != nil && failing(err) {
				b.mu.Lock()
				b.last = err.Error()
				b.mu.Unlock()
			}
			once.Do(func() { report(err) })
		}, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused++
	left := max(time.Second, time.Until(b.until)) // half-open: as long as the one call takes
	return nil, &APIError{
		Provider: b.name, Status: http.StatusServiceUnavailable, Type: "upstream_unavailable", Code: "circuit_open", RetryAfter: left,
		Message: fmt.Sprintf("it failed too often lately and is not asked for another %v; the last failure: %s", left.Round(time.Second), b.why),
	}
}

// Wrap lets operations on the model through while the breaker allows it. It
// belongs below [Retry], so that each try counts, and above a [Limiter], so that
// nobody queues for an upstream that is not asked.
func (b *Breaker) Wrap(m Model) Model { return &broken{m, b} }

type broken struct {
	Model
	b *Breaker
}

func (m *broken) Do(ctx context.Context, op Op) (*Result, error) {
	done, err := m.b.Allow()
	if err != nil {
		return nil, err
	}
	reported := false
	defer func() {
		if !reported { // a panic is not the upstream's
			done(context.Canceled)
		}
	}()
	if stream := op.Stream; stream != nil {
		begun := false
		op.Stream = func(e Event) error {
			if !begun && m.b.two.State() == gobreaker.StateHalfOpen {
				done(nil) // it answers: nobody is to wait for the end of a long stream
			}
			begun = true
			return stream(e)
		}
	}
	res, err := m.Model.Do(ctx, op)
	reported = true
	done(err)
	return res, err
}

// Guards are the breakers and retry budgets of the upstreams that a process
// asks, one of each for a model of a host: clients choose among the models of one
// host, and who asks for one that is ill must not keep others from theirs. It is
// safe for concurrent use.
type Guards struct {
	Breaker BreakerOptions
	// RetryShare is the share of recent calls that may be further tries; 0 is 0.2.
	RetryShare float64

	mu sync.Mutex
	by map[ID]*Guard
}

// maxGuards bounds the models that are told apart: their names are clients' choice.
const maxGuards = 1024

// Guard is what stands before one model.
type Guard struct {
	Breaker *Breaker
	Retries *RetryBudget
}

// Of gives the guard of a model.
func (g *Guards) Of(id ID) *Guard {
	g.mu.Lock()
	defer g.mu.Unlock()
	if guard := g.by[id]; guard != nil {
		return guard
	}
	if g.by == nil || len(g.by) >= maxGuards {
		g.by = map[ID]*Guard{}
	}
	g.by[id] = &Guard{NewBreaker(id.String(), g.Breaker), NewRetryBudget(cmp.Or(g.RetryShare, 0.2))}
	return g.by[id]
}

// Known gives the guard of a model if there is one yet, else nil.
func (g *Guards) Known(id ID) *Guard {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.by[id]
}

// States tells how each host stands, in no order: as the worst off of its models,
// with the counts of all.
func (g *Guards) States() []BreakerState {
	g.mu.Lock()
	defer g.mu.Unlock()
	rank := map[string]int{gobreaker.StateClosed.String(): 0, gobreaker.StateHalfOpen.String(): 1, gobreaker.StateOpen.String(): 2}
	hosts := map[string]BreakerState{}
	for id, guard := range g.by {
		s, host := guard.State(), cmp.Or(id.Host, id.Provider)
		all, seen := hosts[host]
		if !seen || rank[s.State] > rank[all.State] {
			s, all = all, s
		}
		all.Upstream = host
		all.Opened, all.Refused, all.Retries, all.Withheld = all.Opened+s.Opened, all.Refused+s.Refused, all.Retries+s.Retries, all.Withheld+s.Withheld
		hosts[host] = all
	}
	return slices.Collect(maps.Values(hosts))
}

// State tells how the model stands.
func (g *Guard) State() BreakerState {
	s := g.Breaker.State()
	s.Retries, s.Withheld = g.Retries.Stats()
	return s
}

// Wrap puts a model behind the guard: tried again as the options and the budget
// allow, and not asked while the breaker is open.
func (g *Guard) Wrap(m Model, o RetryOptions) Model {
	o.Budget = g.Retries
	return Retry(g.Breaker.Wrap(m), o)
}
