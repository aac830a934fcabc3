package llm

import (
	"fmt"
	"math"
	"time"
)

// Chosen: where an adaptive limit begins, how many answers make a turn at the
// least, how much later they come when they come "later".
const (
	climbStart = 8
	climbTurn  = 16
	climbLater = 1.5
)

// climb looks for the number of requests in flight that an upstream bears:
// additive increase and multiplicative decrease after a doubling start. It goes
// in turns, each of about as many answers as may be in flight, and compares
// their latency, as the geometric mean, with the usual one. When that grew, a
// turn at half the number shows whether the number is the reason: if answers
// then come no sooner, the work has become longer and not the upstream slower.
type climb struct {
	limit, ceiling int
	doubling       bool
	why            string

	turn   int     // counts the moves: only what began since the last tells of it
	cut    int     // the turn that began with the last answer that throttled
	n      int     // answers in this turn
	logs   float64 // the sum of their latencies' logarithms
	full   bool    // somebody had to wait in this turn
	usual  float64 // logarithm of the usual latency in seconds; NaN: not known
	doubt  int     // the number that half is tried of; 0: none
	slower float64 // logarithm of the latency there
}

func newClimb(ceiling int) *climb {
	return &climb{limit: min(climbStart, ceiling), ceiling: ceiling, doubling: true, usual: math.NaN(), why: "the start"}
}

func (c *climb) latency() time.Duration {
	if math.IsNaN(c.usual) {
		return 0
	}
	return seconds(c.usual)
}

func seconds(log float64) time.Duration {
	return time.Duration(math.Exp(log) * float64(time.Second)).Round(10 * time.Microsecond)
}

func (c *climb) move(limit int, format string, args ...any) {
	c.limit = min(max(1, limit), c.ceiling)
	c.why = fmt.Sprintf(format, args...)
	c.turn++
	c.rest()
}

func (c *climb) rest() { c.n, c.logs, c.full = 0, 0, false }

// throttled hears that the upstream turned a request away.
func (c *climb) throttled(turn, status int) {
	if turn < c.cut {
		return // sent before the last cut
	}
	to := c.limit * 3 / 4
	if c.doubling {
		to = c.limit / 2
	}
	c.doubling, c.doubt = false, 0
	c.move(to, "down from %d: status %d", c.limit, status)
	c.cut = c.turn
}

// answered hears of an answer: in which turn it was asked for, how long it took,
// whether anybody waits for a place.
func (c *climb) answered(turn int, took time.Duration, waiting bool) {
	if turn != c.turn {
		return
	}
	c.n++
	c.logs += math.Log(max(took.Seconds(), 1e-6))
	c.full = c.full || waiting
	if c.n < max(climbTurn, c.limit) {
		return
	}
	mean, full := c.logs/float64(c.n), c.full
	c.rest()
	switch later := math.Log(climbLater); {
	case c.doubt > 0 && mean < c.slower-later/2:
		from := c.doubt
		c.doubt, c.doubling = 0, false
		c.move(from*3/4, "down from %d: answers took %v there, and %v at half of it", from, seconds(c.slower), seconds(mean))
	case c.doubt > 0:
		from := c.doubt
		c.doubt, c.usual = 0, mean
		c.move(from, "back at %d: answers took %v at half of it too", from, seconds(mean))
	case mean > c.usual+later && c.limit > 1:
		c.doubt, c.slower = c.limit, mean
		c.move(c.limit/2, "trying half of %d: answers took %v there, %v before", c.limit, seconds(mean), seconds(c.usual))
	default:
		switch {
		case math.IsNaN(c.usual):
			c.usual = mean
		case mean < c.usual:
			c.usual = (c.usual + mean) / 2
		}
		switch {
		case !full || c.limit == c.ceiling: // nothing to gain, or nothing allowed
		case c.doubling:
			c.move(2*c.limit, "up from %d: answers took %v", c.limit, seconds(mean))
		default:
			c.move(c.limit+max(1, c.ceiling/64), "up from %d: answers took %v", c.limit, seconds(mean))
		}
	}
}
