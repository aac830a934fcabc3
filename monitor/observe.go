package monitor

import "context"

// Observer hears that a piece of evidence begins to be gathered, and returns the
// context to gather it in and what is to be told when that has ended. The name is
// that of the evidence's type, never of what is asked.
type Observer func(ctx context.Context, evidence string) (_ context.Context, ended func(error))

type observerKey struct{}

// WithObserver has the gathering of evidence under the context observed.
func WithObserver(ctx context.Context, o Observer) context.Context {
	return context.WithValue(ctx, observerKey{}, o)
}

// observed begins to gather.
func observed(ctx context.Context, evidence func() string) (_ context.Context, ended func(error)) {
	if o, ok := ctx.Value(observerKey{}).(Observer); ok {
		return o(ctx, evidence())
	}
	return ctx, func(error) {}
}
