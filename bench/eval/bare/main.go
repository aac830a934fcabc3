package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

type question struct {
	ID       string   `json:"id"`
	Question string   `json:"question"`
	Answers  []string `json:"answers"`
}

type line struct {
	ID    string          `json:"id"`
	Right bool            `json:"right"`
	Error string          `json:"error,omitempty"`
	Raw   json.RawMessage `json:"raw,omitempty"`
}

func main() {
	url := flag.String("url", "http://127.0.0.1:8123/v1", "base URL")
	in := flag.String("in", "questions.jsonl", "questions")
	out := flag.String("out", "bare.jsonl", "log")
	workers := flag.Int("c", 64, "requests at once")
	flag.Parse()
	if err := run(*url+"/chat/completions", *in, *out, *workers); err != nil {
		log.Fatal(err)
	}
}

func run(url, in, out string, workers int) error {
	questions, err := os.Open(in)
	if err != nil {
		return err
	}
	defer questions.Close()
	f, err := os.OpenFile(out, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	done, right := map[string]bool{}, 0
	each := func(r io.Reader, use func([]byte) error) error {
		s := bufio.NewScanner(r)
		s.Buffer(nil, 1<<24)
		for s.Scan() {
			if err := use(s.Bytes()); err != nil {
				return err
			}
		}
		return s.Err()
	}
	if err := each(f, func(b []byte) error {
		var l line
		if json.Unmarshal(b, &l) == nil { // the last may be torn
			done[l.ID] = true
			if l.Right {
				right++
			}
		}
		return nil
	}); err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers}}
	todo, lines := make(chan question, workers), make(chan line, workers)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for q := range todo {
				lines <- ask(client, url, q)
			}
		})
	}
	var read error
	go func() {
		read = each(questions, func(b []byte) error {
			var q question
			if err := json.Unmarshal(b, &q); err != nil {
				return err
			}
			if !done[q.ID] {
				todo <- q
			}
			return nil
		})
		close(todo)
		wg.Wait()
		close(lines)
	}()
	w := bufio.NewWriterSize(f, 1<<16)
	total := len(done)
	tick := time.NewTicker(100 * time.Millisecond)
	for {
		select {
		case l, ok := <-lines:
			if !ok {
				fmt.Printf("%d questions, %d right\n", total, right)
				return errors.Join(read, w.Flush(), f.Sync())
			}
			b, err := json.Marshal(l)
			if err != nil {
				return err
			}
			if _, err := w.Write(append(b, '\n')); err != nil {
				return err
			}
			if total++; l.Right {
				right++
			}
		case <-tick.C:
			if err := errors.Join(w.Flush(), f.Sync()); err != nil {
				return err
			}
		}
	}
}

func ask(client *http.Client, url string, q question) line {
	l := line{ID: q.ID}
	body, err := json.Marshal(map[string]any{"model": "mock", "messages": []map[string]string{{"role": "user", "content": q.Question}}})
	if err != nil {
		l.Error = err.Error()
		return l
	}
	for try := range 4 {
		time.Sleep(time.Duration(try) * 100 * time.Millisecond)
		reply, raw, err := call(client, url, body)
		if err != nil {
			l.Error = err.Error()
			continue
		}
		l.Right, l.Raw, l.Error = slices.Contains(q.Answers, reply), raw, ""
		break
	}
	return l
}

func call(client *http.Client, url string, body []byte) (string, []byte, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return "", nil, errors.New(resp.Status)
	}
	var answer struct {
		Choices []struct {
			Message struct {
				Content string `json:"content"`
			} `json:"message"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil || len(answer.Choices) == 0 {
		return "", nil, fmt.Errorf("no answer: %w", err)
	}
	return answer.Choices[0].Message.Content, raw, nil
}
