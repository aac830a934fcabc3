package llm

import (
	"fmt"
	"math"
	"time"
)

// Chosen: where an adaptive limit begins, how many answers make a turn at the
// least, how much later they come when they come "later"; for how many times the
// pause that a refusal cost, and for how long at the most, a limit that was
// refused is not tried again.
const (
	climbStart  = 8
	climbTurn   = 16
	climbLater  = 1.5
	climbGap    = 20
	climbAgain  = 30 * time.Minute
	climbDouble = 6 // times that the gap doubles
)

// climb looks for the number of requests in flight that an upstream bears:
// additive increase and multiplicative decrease after a doubling start. It goes
// in turns, each of about as many answers as may be in flight, and compares
// their latency, as the geometric mean, with the usual one. When that grew, a
// turn at half the number shows whether the number is the reason: if answers
// then come no sooner, the work has become longer and not the upstream slower.
//
// An upstream that says for how long it wants no request costs every caller that
// time. So what it refused is a wall below which the limit stays, and to try the
// wall is worth it only now and then: the more seldom, the longer the pauses and
// the more often it was refused. Where the wall is, the refused request tells: an
// upstream that bears so many at once refuses the first one beyond.
type climb struct {
	limit, ceiling int
	doubling       bool
	why            string

	turn   int  // counts the moves: only what began since the last tells of it
	cut    int  // the turn that began with the last answer that throttled
	held   bool // a whole turn passed since that one
	placed bool // the limit is what the refused request told, and at least floor
	floor  int
	wall   int       // the number that was refused; 0: none
	again  time.Time // not tried again before
	tried  int       // how often it was and refused again
	n      int       // answers in this turn
	logs   float64   // the sum of their latencies' logarithms
	full   bool      // somebody had to wait in this turn
	usual  float64   // logarithm of the usual latency in seconds; NaN: not known
	doubt  int       // the number that half is tried of; 0: none
	slower float64   // logarithm of the latency there
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

// refusal is what throttles.
type refusal struct {
	turn, status int
	inFlight     int           // requests in flight when it was sent, itself included
	pause        time.Duration // that it asks for
	now          time.Time
}

// throttled hears that the upstream turned a request away.
func (c *climb) throttled(r refusal) {
	if r.turn < c.cut { // sent before the last cut
		if c.placed && !c.held && r.inFlight-1 < c.limit {
			c.limit = max(r.inFlight-1, c.floor)
			c.wall = c.limit + 1
		}
		return
	}
	from, to := c.limit, c.limit*3/4
	if c.doubling {
		to = c.limit / 2
	}
	if c.wall > 0 && from >= c.wall {
		c.tried = min(c.tried+1, climbDouble)
	}
	c.wall = from
	// Where even a number that held is refused, it is not the number.
	if c.placed = c.held || c.doubling; c.placed {
		c.floor = max(1, from/4)
		to = min(max(r.inFlight-1, c.floor), from-1)
		c.wall = to + 1
	}
	cost := max(r.pause, c.latency()) // without a pause some callers still lose a try
	c.again = r.now.Add(r.pause + min(climbGap*cost<<c.tried, climbAgain))
	c.doubling, c.doubt, c.held = false, 0, false
	c.move(to, "down from %d: status %d", from, r.status)
	c.cut = c.turn
}

// answered hears of an answer: in which turn it was asked for, how long it took,
// whether anybody waits for a place.
func (c *climb) answered(turn int, took time.Duration, waiting bool, now time.Time) {
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
	c.held = true
	if c.limit >= c.wall { // it bears more now
		c.wall, c.tried = 0, 0
	}
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
		case c.limit+1 < c.wall:
			c.move(min(c.limit+c.step(), c.wall-1), "up from %d: answers took %v", c.limit, seconds(mean))
		case c.wall > 0 && now.Before(c.again):
			c.why = fmt.Sprintf("stays below %d, which was refused: answers took %v", c.wall, seconds(mean))
		default:
			c.move(c.limit+c.step(), "up from %d: answers took %v", c.limit, seconds(mean))
		}
	}
}

func (c *climb) step() int { return max(1, c.ceiling/64) }
