package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// target is a server under load and what was measured of it. Its callers keep
// their connections, one each.
type target struct {
	name, address, path, host string
	pid                       int // 0: none to look at

	mu       sync.Mutex
	latency  []float64 // ms, of whole answers
	first    []float64 // ms, to the first token of a stream
	busy     time.Duration
	failures map[string]int
	peak     float64 // MiB
	cpu      float64 // seconds, of its process during its blocks
}

func newTarget(name, base string, pid int) *target {
	u, err := url.Parse(base)
	if err != nil {
		panic(err)
	}
	return &target{name: name, address: u.Host, path: strings.TrimRight(u.Path, "/") + "/chat/completions", host: u.Host, pid: pid, failures: map[string]int{}}
}

// reset forgets what was measured.
func (t *target) reset() {
	t.latency, t.first, t.busy, t.failures, t.peak, t.cpu = nil, nil, 0, map[string]int{}, 0, 0
}

// request is the bytes of one.
func (t *target) request(body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer sk-bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", t.path, t.host, len(body), body)
}

// body is a chat request of the usual size.
func body(model string, stream bool, more string) string {
	return fmt.Sprintf(`{"model":%q,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"What is the capital of Iceland? %s"}],"max_tokens":16,"stream":%t%s}`,
		model, strings.Repeat("Please be brief. ", 20), stream, more)
}

// caller is one connection in use.
type caller struct {
	t    *target
	conn net.Conn
	r    *bufio.Reader
}

func (t *target) caller() *caller { return &caller{t: t} }

func (c *caller) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// ask makes one request and reads its answer: ttft is when the first token of a
// stream was there.
func (c *caller) ask(request []byte, stream bool) (took, ttft time.Duration, err error) {
	if c.conn == nil {
		if c.conn, err = net.Dial("tcp", c.t.address); err != nil { //nolint:noctx // loopback; bounded by the deadline below
			return 0, 0, err
		}
		c.r = bufio.NewReaderSize(c.conn, 16<<10)
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	start := time.Now()
	_ = c.conn.SetDeadline(start.Add(2 * time.Minute))
	if _, err = c.conn.Write(request); err != nil {
		return 0, 0, err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, 0, err
	}
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return 0, 0, fmt.Errorf("status %d: %s", resp.StatusCode, said)
	}
	if !stream {
		n, err := io.Copy(io.Discard, resp.Body)
		if err == nil && n < 100 {
			err = errors.New("an answer without content")
		}
		took = time.Since(start)
		if resp.Close {
			c.close()
		}
		return took, 0, err
	}
	lines, done := bufio.NewReader(resp.Body), false
	for {
		line, err := lines.ReadSlice('\n')
		if ttft == 0 && bytes.Contains(line, []byte(`"content":" word"`)) {
			ttft = time.Since(start)
		}
		done = done || bytes.HasPrefix(line, []byte("data: [DONE]"))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, 0, err
		}
	}
	if !done {
		return 0, 0, errors.New("a stream without its end")
	}
	return time.Since(start), ttft, nil
}

// block keeps callers asking for a time, or until each has asked often enough.
func (t *target) block(callers int, d time.Duration, each int, stream bool, body string) {
	request := t.request(body)
	var wg sync.WaitGroup
	var stop atomic.Bool
	timer := time.AfterFunc(d, func() { stop.Store(true) })
	defer timer.Stop()
	start, cpu := time.Now(), t.ticks()
	for range callers {
		wg.Go(func() {
			c := t.caller()
			defer c.close()
			var took, first []float64
			failed := map[string]int{}
			for n := 0; !stop.Load() && (each == 0 || n < each); n++ {
				d, f, err := c.ask(request, stream)
				if err != nil {
					failed[err.Error()]++
					continue
				}
				took, first = append(took, ms(d)), append(first, ms(f))
			}
			t.mu.Lock()
			defer t.mu.Unlock()
			t.latency, t.first = append(t.latency, took...), append(t.first, first...)
			for why, n := range failed {
				t.failures[why] += n
			}
		})
	}
	wg.Wait()
	t.busy += time.Since(start)
	t.cpu += t.ticks() - cpu
	t.peak = max(t.peak, t.memory())
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

func quantile(xs []float64, q float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(xs))
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

func (t *target) failed() (n int) {
	for _, k := range t.failures {
		n += k
	}
	return n
}
