package llm

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"
)

// LimitOptions say how much may be asked at once and a minute. A zero field
// sets no limit.
type LimitOptions struct {
	// Concurrency is how many requests may be in flight upstream. Those who wait
	// are let in one by one, the longest waiting first.
	Concurrency int
	// Adaptive finds what the upstream bears, up to Concurrency (default 256): it
	// begins with 8, doubles until the upstream throttles (429, 503, 529) or
	// answers later for it, and then goes up in small steps and down by a quarter.
	// What was refused with a Retry-After it stays below, and tries it again after
	// twenty times that, then forty and so on.
	Adaptive bool
	// RPM and TPM are requests and tokens a minute. At most the part of a tenth of
	// a second is saved up, and made up for, so that no minute, wherever it begins,
	// has more requests than the figure. Tokens are reserved like those of [Metered], in the proportion that calls so far
	// turned out to need, and settled by what the upstream reports.
	RPM, TPM int64
	// Quota is asked as well, after the limits above: a share of a limit that
	// other processes use too.
	Quota Quota
}

// Quota gives out requests and tokens of a limit that is kept elsewhere.
type Quota interface {
	// Take waits until so many may be spent, and spends them. It fails when the
	// context ends before.
	Take(ctx context.Context, requests, tokens int64) error
	// Settle gives back what was taken and not used; negative numbers are what
	// was used beyond it.
	Settle(requests, tokens int64)
}

// longestPause bounds for how long one answer's Retry-After stops every call;
// then the next call finds out whether it still holds.
const longestPause = time.Minute

// Limiter keeps the calls of all models that it wraps within one set of limits,
// as for several models behind one key. It is safe for concurrent use and needs
// no closing.
type Limiter struct {
	o LimitOptions

	mu       sync.Mutex
	climb    *climb     // nil: not adaptive
	places   int        // taken
	queue    *list.List // of *waiter
	timer    *time.Timer
	paused   time.Time // nobody is let in before
	requests bucket
	tokens   bucket
	// How much of the tokens that calls might need they did, with less weight to
	// the older.
	might, did float64
	stats      LimitStats
}

// LimitStats tell how a limiter stands.
type LimitStats struct {
	Limit     int           // requests that may be in flight now; 0: any number
	InFlight  int           // requests in flight
	Highest   int           // the most that were so at once
	Waiting   int           // operations and requests that wait
	Requests  int64         // let through so far
	Throttled int64         // answered with 429, 503 or 529
	Latency   time.Duration // the usual time to an answer, as far as an adaptive limiter has measured it
	Why       string        // what moved an adaptive limit last
}

// NewLimiter makes a limiter.
func NewLimiter(o LimitOptions) *Limiter {
	l := &Limiter{o: o, queue: list.New(), requests: newBucket(o.RPM), tokens: newBucket(o.TPM)}
	if o.Adaptive {
		l.climb = newClimb(cmp.Or(max(0, o.Concurrency), 256))
	}
	return l
}

// Stats gives the present figures.
func (l *Limiter) Stats() LimitStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Limit, s.Waiting = l.limit(), l.queue.Len()
	if l.climb != nil {
		s.Latency, s.Why = l.climb.latency(), l.climb.why
	}
	return s
}

func (l *Limiter) limit() int {
	if l.climb != nil {
		return l.climb.limit
	}
	return max(0, l.o.Concurrency)
}

// Wrap makes operations on the model wait for their turn, for as long as their
// context lasts. It belongs below [Retry], so that a call that waits for its
// next try takes no one's place, and above [Metered], so that one that waits for
// its turn reserves no money.
//
// A place stands for one request to the upstream. A model that makes requests
// over a network takes one for each ([Admit]), however many choices come with
// it; any other holds one for the whole operation. What one answer asks in
// Retry-After, up to a minute, all wait.
func (l *Limiter) Wrap(m Model) Model { return &limited{m, l} }

type limited struct {
	Model
	l *Limiter
}

func (m *limited) Do(ctx context.Context, op Op) (*Result, error) {
	most := int64(promptBytes(op))
	if op.Kind == Generate {
		most += int64(op.N()) * int64(cmp.Or(op.Request.MaxTokens, defaultMaxTokens))
	}
	reserved := m.l.expect(most)
	place, err := m.l.take(ctx, reserved)
	if err != nil {
		return nil, err
	}
	seat := &seatOf{l: m.l, place: place}
	res, err := m.Model.Do(context.WithValue(ctx, seatKey{}, seat), op)
	var requests, used int64
	if place := seat.hand(); place != nil { // the model does not admit its requests by itself
		if errors.Is(err, ErrBudget) || neverSent(err) {
			requests = 1
		} else {
			place.Answered(err)
		}
		place.Leave()
	}
	if res != nil {
		used = res.Usage.PromptTokens + res.Usage.CompletionTokens
	}
	m.l.settle(requests, reserved, most, used)
	return res, err
}

// seatOf is what an operation's requests find in the context: the place that was
// taken for the first of them.
type seatOf struct {
	l     *Limiter
	mu    sync.Mutex
	place *Place
}

type seatKey struct{}

func (s *seatOf) hand() (p *Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, s.place = s.place, nil
	return p
}

// Admit waits until the limiter of the context's operation lets one request go
// out. It is for models that make requests over a network. The place is nil
// where there is no limiter; its methods may be called all the same.
func Admit(ctx context.Context) (*Place, error) {
	seat, ok := ctx.Value(seatKey{}).(*seatOf)
	if !ok {
		return nil, nil
	}
	if p := seat.hand(); p != nil {
		return p, nil
	}
	return seat.l.take(ctx, 0)
}

// Place is the leave to have one request in flight.
type Place struct {
	l     *Limiter
	begun time.Time
	// Of the climb, and in flight with it, when it began.
	turn, inFlight int
}

// Answered tells the limiter how the upstream answered, as soon as it begins to.
func (p *Place) Answered(err error) {
	if p == nil {
		return
	}
	var api *APIError
	if err != nil && !errors.As(err, &api) {
		return // not the upstream's doing
	}
	now := time.Now()
	l := p.l
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case api == nil:
		if l.climb != nil {
			l.climb.answered(p.turn, now.Sub(p.begun), l.queue.Len() > 0, now)
		}
	case api.Status == http.StatusTooManyRequests || api.Status == http.StatusServiceUnavailable || api.Status == 529:
		l.stats.Throttled++
		if l.climb != nil && api.Temporary {
			l.climb.throttled(refusal{p.turn, api.Status, p.inFlight, min(max(0, api.RetryAfter), longestPause), now})
		}
	}
	if api != nil && api.Temporary && api.RetryAfter > 0 {
		if until := now.Add(min(api.RetryAfter, longestPause)); until.After(l.paused) {
			l.paused = until
		}
	}
	l.admit(now)
}

// Leave gives the place to whoever is next. It is called once.
func (p *Place) Leave() {
	if p == nil {
		return
	}
	p.l.leave(true)
}

func (l *Limiter) leave(begun bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.places--
	if begun {
		l.stats.InFlight--
	}
	l.admit(time.Now())
}

// waiter is one who has no place yet.
type waiter struct {
	tokens int64
	ready  chan struct{} // closed when it has
}

// take waits for a place, a request and some tokens.
func (l *Limiter) take(ctx context.Context, tokens int64) (*Place, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := l.enter(ctx, tokens); err != nil {
		return nil, err
	}
	if l.o.Quota != nil {
		if err := l.o.Quota.Take(ctx, 1, tokens); err != nil {
			l.giveBack(1, float64(tokens))
			l.leave(false)
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, fmt.Errorf("rate limit: %w", err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Requests++
	l.stats.InFlight++
	l.stats.Highest = max(l.stats.Highest, l.stats.InFlight)
	p := &Place{l: l, begun: time.Now(), inFlight: l.stats.InFlight}
	if l.climb != nil {
		p.turn = l.climb.turn
	}
	return p, nil
}

// enter waits for the limits that are this process's own.
func (l *Limiter) enter(ctx context.Context, tokens int64) error {
	l.mu.Lock()
	if l.queue.Len() == 0 {
		if wait := l.wait(time.Now(), tokens); wait == 0 {
			l.grant(tokens)
			l.mu.Unlock()
			return nil
		}
	}
	w := &waiter{tokens, make(chan struct{})}
	e := l.queue.PushBack(w)
	l.admit(time.Now())
	l.mu.Unlock()

	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-w.ready: // at the same moment
		l.places--
		l.requests.level++
		l.tokens.level += float64(tokens)
	default:
		l.queue.Remove(e)
	}
	l.admit(time.Now()) // it may have stood before others
	return context.Cause(ctx)
}

// untilLeft says that only one who leaves makes room.
const untilLeft time.Duration = math.MaxInt64

// wait is how long the next one has to wait yet. mu is held.
func (l *Limiter) wait(now time.Time, tokens int64) time.Duration {
	if limit := l.limit(); limit > 0 && l.places >= limit {
		return untilLeft
	}
	return max(0, l.paused.Sub(now), l.requests.wait(now, 1), l.tokens.wait(now, tokens))
}

func (l *Limiter) grant(tokens int64) {
	l.places++
	l.requests.level--
	l.tokens.level -= float64(tokens)
}

// admit lets in those for whom there is room now. mu is held.
func (l *Limiter) admit(now time.Time) {
	for e := l.queue.Front(); e != nil; e = l.queue.Front() {
		w := e.Value.(*waiter)
		switch wait := l.wait(now, w.tokens); {
		case wait == untilLeft:
			return
		case wait > 0 && l.timer == nil:
			l.timer = time.AfterFunc(wait, func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.admit(time.Now())
			})
			return
		case wait > 0:
			l.timer.Reset(wait)
			return
		}
		l.grant(w.tokens)
		l.queue.Remove(e)
		close(w.ready)
	}
}

// expect is how many tokens are reserved for a call that may need so many.
func (l *Limiter) expect(most int64) int64 {
	if l.o.TPM <= 0 && l.o.Quota == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.might == 0 {
		return most
	}
	return int64(math.Ceil(float64(most) * l.did / l.might))
}

// settle corrects what was taken by what was used.
func (l *Limiter) settle(requests, reserved, most, used int64) {
	if l.o.TPM <= 0 && l.o.Quota == nil && requests == 0 {
		return
	}
	if used > 0 {
		l.mu.Lock()
		l.might, l.did = 0.9*l.might+float64(most), 0.9*l.did+float64(used)
		l.mu.Unlock()
	}
	l.giveBack(float64(requests), float64(reserved-used))
	if l.o.Quota != nil {
		l.o.Quota.Settle(requests, reserved-used)
	}
}

func (l *Limiter) giveBack(requests, tokens float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests.level += requests
	l.tokens.level += tokens
	l.admit(time.Now())
}

// bucket fills at a rate. What is taken may be more than it holds, and who comes
// next then waits until that is made up for.
type bucket struct {
	rate  float64 // a second; 0: no limit
	most  float64 // what it holds
	level float64
	at    time.Time // when the level was that
}

func newBucket(perMinute int64) bucket {
	if perMinute <= 0 {
		return bucket{}
	}
	most := float64(max(1, perMinute/600))
	return bucket{rate: (float64(perMinute) - (most - 1)) / 60, most: most, level: most}
}

// wait is the time until n may be taken.
func (b *bucket) wait(now time.Time, n int64) time.Duration {
	if b.rate == 0 || n == 0 {
		return 0
	}
	if !b.at.IsZero() {
		b.level += b.rate * max(0, now.Sub(b.at).Seconds())
	}
	b.level, b.at = min(b.level, b.most), now
	lacks := min(float64(n), b.most) - b.level
	if lacks < 1e-6 { // less than rounding may leave
		return 0
	}
	return time.Duration(math.Ceil(lacks / b.rate * float64(time.Second)))
}
