//go:build unix

package openai_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gnothi/llm"
	"gnothi/llm/openai"
)

// A question of the usual length and its answer as OpenAI words it.
var (
	askedText  = "Question 17: a warehouse moves crate 17 from bay 4 to bay 17 before the inspector arrives. Which code is printed on the label? Answer with the code only. " + strings.Repeat("A line of context. ", 3)
	answerText = `{"id":"chatcmpl-0123456789","object":"chat.completion","created":1700000000,"model":"mock","choices":[{"index":0,"message":{"role":"assistant","content":"a4e07408","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":57,"completion_tokens":5,"total_tokens":62,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}},"service_tier":"default","system_fingerprint":"fp_0"}`
)

// TestUpstreamProcess is no test: it is the other process of the benchmarks.
func TestUpstreamProcess(t *testing.T) {
	if os.Getenv("GNOTHI_UPSTREAM_PROCESS") == "" {
		t.Skip("only for the benchmarks of this file")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the benchmark
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Printf("http://%s\n", listener.Addr())
	t.Fatal(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(5 * time.Millisecond)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answerText)
	})))
}

// upstreamProcess starts a server whose work does not count as ours.
func upstreamProcess(b *testing.B) (url string) {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestUpstreamProcess$")
	cmd.Env = append(os.Environ(), "GNOTHI_UPSTREAM_PROCESS=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// costs reports what a call costs this process, 64 in flight.
func costs(b *testing.B, call func() error) {
	var wg sync.WaitGroup
	work := make(chan struct{}, 64)
	b.ReportAllocs()
	b.ResetTimer()
	began := processorTime()
	for range 64 {
		wg.Go(func() {
			for range work {
				if err := call(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64((processorTime()-began).Microseconds())/1000/float64(b.N), "cpu-ms/op")
}

// BenchmarkCall is a short question through the chain that every model has.
func BenchmarkCall(b *testing.B) {
	p, err := openai.New("mock", openai.Options{BaseURL: upstreamProcess(b), APIKey: "sk-none"})
	if err != nil {
		b.Fatal(err)
	}
	m := llm.Retry(llm.NewLimiter(llm.LimitOptions{Concurrency: 64}).Wrap(llm.Metered(p, &llm.Price{Input: 1, Output: 1})), llm.RetryOptions{})
	ctx := llm.WithLedger(b.Context(), llm.NewLedger(llm.Limits{Calls: 1 << 40}))
	zero := 0.0
	costs(b, func() error {
		res, err := m.Do(ctx, llm.Op{Request: llm.Request{Messages: []llm.Message{{Role: "user", Text: askedText}}, MaxTokens: 64, Temperature: &zero}, Seed: 7, Role: "answer"})
		if err == nil && res.Choices[0].Text != "a4e07408" {
			err = fmt.Errorf("answer %q", res.Choices[0].Text)
		}
		return err
	})
}

// BenchmarkBareCall sends the same and reads the same with nothing between.
func BenchmarkBareCall(b *testing.B) {
	url := upstreamProcess(b) + "/chat/completions"
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	costs(b, func() error {
		body, err := json.Marshal(map[string]any{"model": "mock", "max_tokens": 64, "temperature": 0, "seed": 7, "messages": []any{map[string]any{"role": "user", "content": askedText}}})
		if err != nil {
			return err
		}
		resp, err := client.Post(url, "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		var answer struct {
			Choices []struct {
				Message struct {
					Content string `json:"content"`
				} `json:"message"`
			} `json:"choices"`
		}
		if err := json.Unmarshal(data, &answer); err != nil {
			return err
		}
		if answer.Choices[0].Message.Content != "a4e07408" {
			return fmt.Errorf("answer %s", data)
		}
		return nil
	})
}
