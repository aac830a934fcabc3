package gateway

import (
	"errors"
	"net/http/httptest"
	"testing"
)

// Progress of a sample that ends late goes neither between the answer's events
// nor into a request that is over.
func TestNothingIsWrittenAfterTheEnd(t *testing.T) {
	w := httptest.NewRecorder()
	s := newEvents(w)
	s.comment("1/3 samples")
	s.hush()
	s.comment("2/3 samples")
	if err := s.data([]byte("{}")); err != nil {
		t.Error(err)
	}
	s.close()
	s.comment("3/3 samples")
	if err := s.data([]byte("{}")); !errors.Is(err, errEnded) {
		t.Error(err)
	}
	if got := w.Body.String(); got != ": 1/3 samples\n\ndata: {}\n\n" {
		t.Errorf("%q", got)
	}

	w = httptest.NewRecorder()
	s = newEvents(w)
	s.hush()
	s.comment("1/3 samples")
	if s.begun() || w.Body.Len() > 0 {
		t.Error("a late comment takes the status from an error")
	}
}
