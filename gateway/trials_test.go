package gateway_test

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"gnothi/gateway"
	"gnothi/store"
)

// What fails is kept too, with what it cost; no key is anywhere in the file, and
// nothing of images but that they were there.
func TestTrialsHoldNoKeys(t *testing.T) {
	const own, clients = "sk-own-key-0123456789", "sk-gnothi-client-key-0123456789"
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		sent := r.Header.Get("Authorization")
		failing(401, `{"error":{"message":"Incorrect API key provided: `+sent+`","type":"t","code":"invalid_api_key"}}`)(w, r)
	})
	path := filepath.Join(t.TempDir(), "trials.sqlite")
	trials, err := store.OpenTrials(t.Context(), path, store.TrialOptions{Report: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	o := behind(t, u)
	o.Trials, o.APIKey, o.Keys = trials, own, []gateway.Key{{Name: "web", Hash: sha256.Sum256([]byte(clients))}}
	url, _ := serve(t, o)
	for _, model := range []string{"big", "big+auto"} {
		status, _, _ := post(t, url+"/v1/chat/completions", `{"model":"`+model+`","messages":[{"role":"user","content":[{"type":"text","text":"what is this"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAABBBBCCCC"}}]}]}`, "Authorization", "Bearer "+clients)
		if status != 401 {
			t.Errorf("status %d", status)
		}
	}
	if err := trials.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	found, _, err := trials.List(t.Context(), store.TrialQuery{Outcome: "failed", Key: "web", Bodies: true})
	if err != nil || len(found) != 2 {
		t.Fatalf("%d trials: %v", len(found), err)
	}
	for _, x := range found {
		k := gjson.ParseBytes(x.Body)
		if !strings.Contains(x.Answer, "Incorrect API key") || !strings.Contains(k.Get("belief.error").String(), "Incorrect API key") || k.Get("messages.0.others.0").String() != "image_url" || k.Get("messages.0.text").String() != "what is this" {
			t.Errorf("%s %s", x.Answer, x.Body)
		}
	}
	if err := trials.Close(); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, path + "-wal"} {
		raw, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for _, secret := range []string{own, clients, upstreamKey, "AAAABBBBCCCC"} {
			if strings.Contains(string(raw), secret) {
				t.Errorf("%s holds %s", file, secret)
			}
		}
	}
}

// A key that is not the operator's speaks about its own answers only.
func TestFeedbackOfOthers(t *testing.T) {
	for _, trials := range []*store.Trials{keeping(t), nil} {
		var file strings.Builder
		keys := []gateway.Key{{Name: "a", Hash: sha256.Sum256([]byte("key-of-a"))}, {Name: "b", Hash: sha256.Sum256([]byte("key-of-b"))}}
		url, _ := serve(t, gateway.Options{Model: sample(), Trials: trials, Feedback: &file, Keys: keys, APIKey: "key-of-all"})
		status, body, _ := post(t, url+"/v1/chat/completions", `{"model":"small","messages":[{"role":"user","content":"x"}]}`, "Authorization", "Bearer key-of-a")
		if status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		verdict := `{"id":"` + gjson.Get(body, "id").String() + `","correct":true}`
		for _, c := range []struct {
			key  string
			want int
		}{{"key-of-b", 404}, {"key-of-a", 200}, {"key-of-all", 200}} {
			if status, body, _ := post(t, url+"/v1/feedback", verdict, "Authorization", "Bearer "+c.key); status != c.want {
				t.Errorf("%s: %d %s", c.key, status, body)
			}
		}
		if n := strings.Count(file.String(), "\n"); n != 2 || strings.Contains(file.String(), "key-of") {
			t.Errorf("%d lines: %s", n, &file)
		}
	}
}

func FuzzFeedbackLines(f *testing.F) {
	for _, s := range []string{
		`{"schema":1,"id":"x","correct":true,"by":"audit","marked":true,"audit":0.02,"signals":[{"name":"a","score":0.5}],"calibrator_key":{"model":"m"}}`,
		`{"schema":2,"id":"x"}`, `[]`, `{"schema":1,"id":"x","marked":true,"by":"audit","audit":-1,"signals":[{}],"calibrator_key":{"kind":"k"}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var lines gateway.FeedbackLines
		before := lines.Add(line)
		if again := lines.Add(line); (before == nil) != (again == nil) {
			t.Errorf("%v, then %v", before, again)
		}
		labels := lines.Labels()
		if before != nil && len(labels) > 0 || !json.Valid(line) && before == nil {
			t.Errorf("%v: %+v", before, labels)
		}
		for _, l := range labels {
			if len(l.Examples) != 1 || !(l.Examples[0].Weight > 0) || len(l.Examples[0].Readings) == 0 {
				t.Errorf("%+v", l)
			}
		}
	})
}
