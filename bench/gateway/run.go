package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// run is one run of the benchmark.
type run struct {
	gnothi, smg, state, callers, more string
	block                             time.Duration
	rounds, streams, cancels          int
	mock, via, raw, peer              *target // the upstream itself, gnothi, the bare proxy, smg
	gnothiURL, mockURL, dir           string
	log                               *os.File
	processes                         []*exec.Cmd
}

func (r *run) all(ctx context.Context, parts []string) error {
	if r.gnothi == "" {
		return errors.New("name the binary: -gnothi FILE")
	}
	var err error
	if r.dir, err = os.MkdirTemp("", "gateway-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(r.dir)
	if r.log, err = os.Create(filepath.Join(r.dir, "log")); err != nil {
		return err
	}
	defer r.log.Close()
	defer r.stop()
	if err := r.begin(ctx); err != nil {
		said, _ := os.ReadFile(r.log.Name())
		return fmt.Errorf("%w\n%s", err, said)
	}
	for _, part := range parts {
		do, ok := map[string]func(context.Context) error{
			"load": r.load, "stream": r.stream, "memory": r.memory, "vote": r.vote, "cancel": r.cancel, "start": r.starts,
		}[part]
		if !ok {
			return fmt.Errorf("no part is called %q", part)
		}
		if err := do(ctx); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return nil
}

// begin starts the servers.
func (r *run) begin(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	launch := func(name, path, program string, args func(address string) []string) (*target, error) {
		address := freePort()
		cmd, took, err := start(ctx, r.log, "http://"+address, path, program, args(address)...)
		if err != nil {
			return nil, err
		}
		r.processes = append(r.processes, cmd)
		fmt.Printf("# %s: pid %d, %s, answered after %.0f ms\n", name, cmd.Process.Pid, address, ms(took))
		return newTarget(name, "http://"+address+"/v1", cmd.Process.Pid), nil
	}
	if r.mock, err = launch("direct", "/health", self, func(a string) []string { return []string{"mock", a, "-"} }); err != nil {
		return err
	}
	r.mockURL = "http://" + r.mock.address
	if r.raw, err = launch("bare", "/health", self, func(a string) []string { return []string{"proxy", a, r.mockURL} }); err != nil {
		return err
	}
	if r.via, err = launch("gnothi", "/readyz", r.gnothi, r.serveArgs); err != nil {
		return err
	}
	r.gnothiURL = "http://" + r.via.address
	if r.smg == "" {
		return nil
	}
	_, metrics, _ := net.SplitHostPort(freePort())
	r.peer, err = launch("smg", "/health", r.smg, func(a string) []string {
		host, port, _ := net.SplitHostPort(a)
		return []string{"launch", "--backend", "openai", "--worker-urls", r.mockURL, "--host", host, "--port", port, "--prometheus-port", metrics}
	})
	return err
}

// serveArgs are how gnothi is started: as a user would, with its trial store and
// its metrics; the access log goes to a file.
func (r *run) serveArgs(address string) []string {
	state := r.state
	if state == "" {
		state = filepath.Join(r.dir, "state-"+address)
	}
	args := []string{"serve", "--model", "openai:mock@" + r.mockURL + "/v1", "--policy", "direct", "--listen", address, "--state", state}
	return append(args, strings.Fields(r.more)...)
}

func (r *run) stop() {
	for _, p := range slices.Backward(r.processes) {
		_ = p.Process.Kill()
		_ = p.Wait()
	}
}

// targets are all that are measured, the upstream first.
func (r *run) targets() []*target {
	all := []*target{r.mock, r.via, r.raw}
	if r.peer != nil {
		all = append(all, r.peer)
	}
	return all
}

// turns has every target take its turn, in an order that goes round.
func (r *run) turns(ctx context.Context, callers int, block time.Duration, each int, stream bool, body string) {
	all := r.targets()
	for _, t := range all {
		t.block(min(callers, 32), 300*time.Millisecond, 2000, stream && each > 0, body) // warm-up
		t.reset()
	}
	for round := range r.rounds {
		for k := range all {
			if ctx.Err() != nil {
				return
			}
			all[(k+round)%len(all)].block(callers, block, each, stream, body)
		}
	}
}

func (r *run) load(ctx context.Context) error {
	for _, field := range strings.Split(r.callers, ",") {
		callers, err := strconv.Atoi(field)
		if err != nil {
			return err
		}
		r.turns(ctx, callers, r.block, 0, false, body("mock", false, ""))
		fmt.Printf("\n## %d in flight\n%-8s %8s %7s %8s %8s %9s %9s %9s %7s %7s\n", callers, "", "answers", "failed", "p50 ms", "p99 ms", "added p50", "added p99", "req/s", "CPU µs", "MiB")
		for _, t := range r.targets() {
			fmt.Printf("%-8s %8d %7d %8.3f %8.3f %9.3f %9.3f %9.0f %7.0f %7.0f\n", t.name, len(t.latency), t.failed(), quantile(t.latency, .5), quantile(t.latency, .99),
				quantile(t.latency, .5)-quantile(r.mock.latency, .5), quantile(t.latency, .99)-quantile(r.mock.latency, .99), float64(len(t.latency))/t.busy.Seconds(), 1e6*t.cpu/float64(len(t.latency)), t.peak)
			for why, n := range t.failures {
				fmt.Printf("         %d× %s\n", n, why)
			}
		}
	}
	return nil
}

func (r *run) stream(ctx context.Context) error {
	for _, callers := range []int{1, 64} {
		r.turns(ctx, callers, time.Minute, 2, true, body("mock-tps50-tok50", true, ""))
		fmt.Printf("\n## %d streams of 50 tokens, 50 a second\n%-8s %8s %7s %10s %10s %11s %11s\n", callers, "", "streams", "failed", "first p50", "first p99", "delayed p50", "delayed p99")
		for _, t := range r.targets() {
			fmt.Printf("%-8s %8d %7d %10.3f %10.3f %11.3f %11.3f\n", t.name, len(t.first), t.failed(), quantile(t.first, .5), quantile(t.first, .99),
				quantile(t.first, .5)-quantile(r.mock.first, .5), quantile(t.first, .99)-quantile(r.mock.first, .99))
		}
	}
	return nil
}

// memory opens many streams at once and sends a body that is far too large.
func (r *run) memory(ctx context.Context) error {
	fmt.Printf("\n## Memory of gnothi\nbefore: %.0f MiB (peak so far %.0f)\n", r.via.memory(), r.via.status("VmHWM"))
	done := make(chan struct{})
	r.via.reset()
	go func() {
		r.via.block(r.streams, time.Minute, 1, true, body("mock-tps10-tok60", true, ""))
		close(done)
	}()
	most := 0.0
	for open := true; open; {
		select {
		case <-done:
			open = false
		case <-time.After(100 * time.Millisecond):
			most = max(most, r.via.memory())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	fmt.Printf("with %d open streams: %.0f MiB (%d failed)\n", r.streams, most, r.via.failed())
	before := r.via.memory()
	conn, err := net.Dial("tcp", r.via.address) //nolint:noctx // loopback
	if err != nil {
		return err
	}
	defer conn.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n", r.via.address)
		piece := strings.Repeat("x", 1<<20)
		for range 100 {
			if _, err := fmt.Fprintf(conn, "%x\r\n%s\r\n", len(piece), piece); err != nil {
				return
			}
		}
		_, _ = io.WriteString(conn, "0\r\n\r\n")
	}()
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	answer := make([]byte, 4096)
	n, _ := conn.Read(answer)
	line, _, _ := strings.Cut(string(answer[:n]), "\r\n")
	after := r.via.memory()
	_ = conn.Close()
	<-sent
	fmt.Printf("a body of 100 MB in chunks: %q, %.0f → %.0f MiB\n", line, before, after)
	if resp, err := http.Post(r.gnothiURL+"/v1/chat/completions", "application/json", strings.NewReader(strings.Repeat("x", 100<<20))); err == nil { //nolint:noctx // loopback
		_ = resp.Body.Close()
		fmt.Printf("a body of 100 MB, announced: %d, %.0f MiB\n", resp.StatusCode, r.via.memory())
	} else {
		fmt.Printf("a body of 100 MB, announced: %v, %.0f MiB\n", err, r.via.memory())
	}
	return nil
}

// vote asks for ten samples of an upstream that takes 100 ms.
func (r *run) vote(context.Context) error {
	r.via.reset()
	r.via.block(1, time.Minute, 20, false, body("mock-lat100", false, `,"gnothi":{"policy":"self-consistency?n=10"}`))
	fmt.Printf("\n## self-consistency?n=10, upstream of 100 ms\np50 %.1f ms, p99 %.1f ms, %d answers, %d failed %v\n",
		quantile(r.via.latency, .5), quantile(r.via.latency, .99), len(r.via.latency), r.via.failed(), r.via.failures)
	return nil
}

// mockStats is what the upstream counted.
func (r *run) mockStats() (s struct {
	InFlight int64   `json:"in_flight"`
	Left     int64   `json:"left"`
	LeftAt   []int64 `json:"left_at"`
}, err error) {
	resp, err := http.Get(r.mockURL + "/stats") //nolint:noctx // loopback
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// cancel leaves many requests in the middle, plain ones and streams.
func (r *run) cancel(ctx context.Context) error {
	if _, err := r.mockStats(); err != nil { // forgets what was before
		return err
	}
	before, err := r.goroutines()
	if err != nil {
		return err
	}
	fmt.Printf("\n## %d requests that the client leaves\n", r.cancels)
	for _, stream := range []bool{false, true} {
		request := r.via.request(body(map[bool]string{false: "mock-lat60000", true: "mock-tps1-tok600"}[stream], stream, ""))
		// One after another within a caller: the last that left is the last seen.
		var mu sync.Mutex
		var took []float64
		lost := 0
		for range 10 { // alone: how long it takes until the upstream knows
			left, err := r.leave(ctx, request)
			if err != nil {
				return err
			}
			took = append(took, left)
		}
		var wg sync.WaitGroup
		start, slots := time.Now(), make(chan struct{}, 100)
		for range r.cancels / 2 {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				conn, err := net.Dial("tcp", r.via.address) //nolint:noctx // loopback
				if err == nil {
					_, err = conn.Write(request)
					time.Sleep(5 * time.Millisecond) // on the way
					_ = conn.Close()
				}
				if err != nil {
					mu.Lock()
					lost++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		end := time.Now()
		open := int64(-1)
		for time.Since(end) < 10*time.Second {
			s, err := r.mockStats()
			if err != nil {
				return err
			}
			if open = s.InFlight; open == 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		fmt.Printf("stream %t: upstream told after p50 %.1f ms, p99 %.1f ms (one at a time); %d in %.1f s, none left at the upstream %.0f ms after the last one (open: %d, not sent: %d)\n",
			stream, quantile(took, .5), quantile(took, .99), r.cancels/2, end.Sub(start).Seconds(), ms(time.Since(end)), open, lost)
	}
	after := 0
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(100 * time.Millisecond) {
		if after, err = r.goroutines(); err != nil {
			return err
		}
		if after <= before {
			break
		}
	}
	fmt.Printf("goroutines of gnothi: %d before, %d after\n", before, after)
	return nil
}

// leave sends a request, waits until it has reached the upstream, leaves, and
// gives the milliseconds until the upstream saw that.
func (r *run) leave(ctx context.Context, request []byte) (float64, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.via.address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if _, err := conn.Write(request); err != nil {
		return 0, err
	}
	for {
		s, err := r.mockStats()
		if err != nil {
			return 0, err
		}
		if s.InFlight > 0 {
			break
		}
	}
	time.Sleep(10 * time.Millisecond)
	left := time.Now()
	_ = conn.Close()
	for time.Since(left) < 10*time.Second {
		s, err := r.mockStats()
		if err != nil {
			return 0, err
		}
		if len(s.LeftAt) > 0 {
			return float64(s.LeftAt[0]-left.UnixNano()) / 1e6, nil
		}
	}
	return math.Inf(1), nil
}

var goroutineLine = regexp.MustCompile(`(?m)^go_goroutines (\d+)`)

// goroutines reads how many gnothi has off its metrics.
func (r *run) goroutines() (int, error) {
	resp, err := http.Get(r.gnothiURL + "/metrics") //nolint:noctx // loopback
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	m := goroutineLine.FindSubmatch(text)
	if m == nil {
		return 0, errors.New("its metrics have no go_goroutines")
	}
	return strconv.Atoi(string(m[1]))
}

// starts starts gnothi some times, to readiness.
func (r *run) starts(ctx context.Context) error {
	var took []float64
	for range 10 {
		address := freePort()
		cmd, d, err := start(ctx, r.log, "http://"+address, "/readyz", r.gnothi, r.serveArgs(address)...)
		if err != nil {
			return err
		}
		took = append(took, ms(d))
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	fmt.Printf("\n## Start to readyz\np50 %.0f ms, longest %.0f ms of %d\n", quantile(took, .5), slices.Max(took), len(took))
	return nil
}

// ticks is the time that the target's process has been on a processor, in seconds.
func (t *target) ticks() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", t.pid))
	if err != nil {
		return math.NaN()
	}
	_, after, _ := strings.Cut(string(text), ") ") // the name may hold blanks
	fields := strings.Fields(after)
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100 // USER_HZ, the same on every Linux
}

// memory is the resident memory of the target's process and its children, MiB.
func (t *target) memory() float64 { return t.status("VmRSS") }

func (t *target) status(field string) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", t.pid))
	if err != nil {
		return math.NaN()
	}
	for _, line := range strings.Split(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kib, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kib / 1024
		}
	}
	return math.NaN()
}
