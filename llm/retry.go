package llm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// RetryOptions say how often and when. Zero fields have the defaults given.
type RetryOptions struct {
	Tries int           // in all, the first one included; default 4
	Wait  time.Duration // before the second try, about half more before each further one; default 500ms
	Most  time.Duration // the longest wait; a server that asks for longer is not tried again; default 1m
	// Budget, if set, allows each further try; without leave the error stands.
	Budget *RetryBudget
	// Notify, if set, is told of each failure that is followed by another try.
	Notify func(err error, wait time.Duration)
}

// Retry tries again after errors that are [APIError.Temporary], with jitter and
// not before the time that the server asks for. It never does once an event of a
// stream was delivered. Choices that a failed try returned are kept: the next
// one asks only for those that are missing. The error of the last try says what
// became of each.
func Retry(m Model, o RetryOptions) Model {
	if o.Tries <= 0 {
		o.Tries = 4
	}
	if o.Wait <= 0 {
		o.Wait = 500 * time.Millisecond
	}
	if o.Most <= 0 {
		o.Most = time.Minute
	}
	return &retrier{m, o}
}

// RetryBudget bounds the tries after the first of all operations that share it to
// a share of the recent ones, so that an upstream that is down is not asked
// several times as often as one that is well. Some more are allowed for quiet
// times: 10 at once, and one more every 10 s. It is safe for concurrent use.
type RetryBudget struct {
	share float64

	mu               sync.Mutex
	level            float64 // tries that are allowed now
	at               time.Time
	retries, refused int64
}

const (
	retriesAtOnce = 10
	retryEvery    = 10 * time.Second
	retryRecent   = 100 // operations that are recent
)

// NewRetryBudget allows a share, such as 0.2, of the operations to be further tries.
func NewRetryBudget(share float64) *RetryBudget {
	return &RetryBudget{share: share, level: retriesAtOnce}
}

// most is what may be saved up.
func (b *RetryBudget) most() float64 { return max(retriesAtOnce, b.share*retryRecent) }

// earn counts an operation.
func (b *RetryBudget) earn() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.level = min(b.level+b.share, b.most())
}

// take asks for a further try.
func (b *RetryBudget) take() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if !b.at.IsZero() {
		b.level = min(b.level+float64(now.Sub(b.at))/float64(retryEvery), b.most())
	}
	b.at = now
	if b.level < 1 {
		b.refused++
		return false
	}
	b.level--
	b.retries++
	return true
}

// Stats tells how many further tries there were, and how many were not allowed.
func (b *RetryBudget) Stats() (retries, refused int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.retries, b.refused
}

type retrier struct {
	Model
	o RetryOptions
}

func (r *retrier) Do(ctx context.Context, op Op) (*Result, error) {
	delivered := false
	if stream := op.Stream; stream != nil {
		op.Stream = func(e Event) error { delivered = true; return stream(e) }
	}
	r.o.Budget.earn()
	wait := &waits{ExponentialBackOff: backoff.NewExponentialBackOff(), most: r.o.Most, budget: r.o.Budget}
	wait.InitialInterval, wait.MaxInterval = r.o.Wait, r.o.Most

	missing := make([]int, op.N())
	for k := range missing {
		missing[k] = op.Index(k)
	}
	order := slices.Clone(missing)
	var all *Result
	var tries tries
	try := func() (*Result, error) {
		res, err := r.Model.Do(ctx, op)
		all = merge(all, res, order)
		if err == nil {
			return all, nil
		}
		if wait.after = nil; !delivered {
			errors.As(err, &wait.after)
		}
		tries = append(tries, err)
		if res != nil && op.Kind == Generate {
			missing = slices.DeleteFunc(missing, func(i int) bool {
				return slices.ContainsFunc(res.Choices, func(c Choice) bool { return c.Index == i })
			})
			op.Indices = missing
		}
		return all, err
	}
	options := []backoff.RetryOption{backoff.WithBackOff(wait), backoff.WithMaxTries(uint(r.o.Tries)), backoff.WithMaxElapsedTime(0)}
	if r.o.Notify != nil {
		options = append(options, backoff.WithNotify(r.o.Notify))
	}
	res, err := backoff.Retry(ctx, try, options...)
	if len(tries) > 1 && err == tries[len(tries)-1] { //nolint:errorlint // that very one: not a context's that ended
		err = tries
	}
	return res, err
}

// tries are the errors of an operation's tries. They are the last of them, which
// in words tells of all.
type tries []error

// Error implements error.
func (t tries) Error() string {
	var words []string
	for i := 0; i < len(t); {
		n := i + 1
		for n < len(t) && t[n].Error() == t[i].Error() {
			n++
		}
		which := fmt.Sprintf("try %d: ", i+1)
		if n > i+1 {
			which = fmt.Sprintf("tries %d to %d: ", i+1, n)
		}
		words = append(words, which+t[i].Error())
		i = n
	}
	if len(words) == 1 {
		return fmt.Sprintf("%v (%d tries)", t[0], len(t))
	}
	return strings.Join(words, "; ")
}

// Unwrap gives the last try's.
func (t tries) Unwrap() error { return t[len(t)-1] }

// waits gives the time to the next try, or says that there is none.
type waits struct {
	*backoff.ExponentialBackOff
	most   time.Duration
	budget *RetryBudget
	after  *APIError // what the last try failed with; nil if it is not worth another
}

func (w *waits) NextBackOff() time.Duration {
	if w.after == nil || !w.after.Temporary || w.after.RetryAfter > w.most {
		return backoff.Stop
	}
	if !w.budget.take() {
		return backoff.Stop
	}
	return max(w.ExponentialBackOff.NextBackOff(), w.after.RetryAfter)
}

// merge joins the results of an operation's parts, its choices in the order of
// the indexes. Either may be nil.
func merge(a, b *Result, order []int) *Result {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	whole := *b
	whole.Body = nil
	whole.Choices = append(slices.Clone(a.Choices), b.Choices...)
	slices.SortStableFunc(whole.Choices, func(x, y Choice) int {
		return slices.Index(order, x.Index) - slices.Index(order, y.Index)
	})
	whole.Usage.PromptTokens += a.Usage.PromptTokens
	whole.Usage.PromptCached += a.Usage.PromptCached
	whole.Usage.CompletionTokens += a.Usage.CompletionTokens
	whole.Usage.NanoUSD += a.Usage.NanoUSD
	whole.Usage.Priced = a.Usage.Priced && b.Usage.Priced
	return &whole
}
