package gateway_test

import (
	"fmt"

	"gnothi/control"
	"gnothi/monitor"
)

// policies knows a few policies; catalog, which knows all, is driven by the
// command's tests.
func policies(spec string) (control.Policy, error) {
	var n int
	switch _, err := fmt.Sscanf(spec, "self-consistency?n=%d", &n); {
	case err == nil && n > 0 && n <= 100:
		return control.Vote{Sampler: control.Independent{Sampling: monitor.DefaultSampling}, Stop: control.Fixed(n)}, nil
	case spec == "auto":
		return control.DefaultAuto(), nil
	case spec == "direct":
		return control.Direct(), nil
	}
	return nil, fmt.Errorf("no policy is called %q: did you mean %q?", spec, "self-consistency")
}
