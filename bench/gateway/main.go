package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"
)

func main() {
	if len(os.Args) == 4 && os.Args[1] == "mock" {
		serve(os.Args[2], newMock())
	}
	if len(os.Args) == 4 && os.Args[1] == "proxy" {
		serve(os.Args[2], bareProxy(os.Args[3]))
	}
	var r run
	parts := flag.String("parts", "load,stream,memory,vote,cancel,start", "what to measure")
	flag.StringVar(&r.gnothi, "gnothi", "", "the gnothi binary")
	flag.StringVar(&r.smg, "smg", "", "the smg binary; empty: without it")
	flag.StringVar(&r.state, "state", "", "state folder of gnothi; empty: a temporary one")
	flag.StringVar(&r.more, "args", "", "more flags for gnothi serve")
	flag.DurationVar(&r.block, "block", 2*time.Second, "length of a block")
	flag.IntVar(&r.rounds, "rounds", 5, "blocks of each")
	flag.IntVar(&r.streams, "streams", 1000, "open streams of the part memory")
	flag.IntVar(&r.cancels, "cancels", 10000, "requests of the part cancel")
	flag.StringVar(&r.callers, "callers", "1,32,256", "callers of the part load")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := r.all(ctx, strings.Split(*parts, ",")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // nothing left to stop
	}
}

// serve serves until it is killed.
func serve(address string, h http.Handler) {
	server := &http.Server{Addr: address, Handler: h, ReadHeaderTimeout: time.Minute}
	fmt.Fprintln(os.Stderr, server.ListenAndServe())
	os.Exit(1)
}

// bareProxy is the least that a proxy in Go costs.
func bareProxy(to string) http.Handler {
	u, err := url.Parse(to)
	if err != nil {
		panic(err)
	}
	return &httputil.ReverseProxy{
		Rewrite:       func(p *httputil.ProxyRequest) { p.SetURL(u) },
		Transport:     &http.Transport{MaxIdleConns: 2048, MaxIdleConnsPerHost: 2048, DisableCompression: true},
		FlushInterval: -1,
	}
}

// start starts a server and waits until it answers at path.
func start(ctx context.Context, log *os.File, base, path string, name string, args ...string) (*exec.Cmd, time.Duration, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "OPENAI_API_KEY=sk-UPSTREAM", "GNOTHI_API_KEY=")
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, 0, err
	}
	for time.Since(begun) < time.Minute {
		resp, err := http.Get(base + path) //nolint:noctx,gosec // of the command line
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return cmd, time.Since(begun), nil
			}
		}
		time.Sleep(time.Millisecond)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	return nil, 0, fmt.Errorf("%s does not answer at %s%s", name, base, path)
}

// freePort finds an address that is free now.
func freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}
