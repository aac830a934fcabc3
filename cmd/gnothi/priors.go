package main

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"gnothi/monitor"
	"gnothi/monitor/calibrate"
	"gnothi/text"
)

// fitPriors pools what is known of other models: public recordings below the
// data folder, and our own of the default model, and writes priors.json.
func fitPriors(data, dir string, own []graded) error {
	units := map[string]map[string][]calibrate.Example{} // signal → unit → examples
	add := func(signal, unit string, r monitor.Reading, right bool) {
		if units[signal] == nil {
			units[signal] = map[string][]calibrate.Example{}
		}
		units[signal][unit] = append(units[signal][unit], calibrate.Example{Right: right, Readings: []calibrate.Named{{Name: signal, Reading: r}}})
	}
	if err := optionProbabilities(filepath.Join(data, "many-models-confidence", "max-softmax.csv.gz"), add); err != nil {
		return err
	}
	for _, model := range []string{"Meta-Llama-3.1-70B-Instruct-Turbo", "Qwen3-1.7B-think"} {
		if err := mmluPro(filepath.Join(data, "many-models-confidence", "mmlu-pro-"+model+".csv.gz"), model, add); err != nil {
			return err
		}
	}
	if err := triviaSamples(filepath.Join(data, "triviaqa-gemma2b-samples", "batch_0.json"), add); err != nil {
		return err
	}
	for _, g := range own {
		for _, r := range g.example().Readings {
			if units[r.Name] != nil {
				add(r.Name, "SmolLM2-135M-Instruct", r.Reading, g.Label)
			}
		}
	}
	var priors []*calibrate.Prior
	for _, signal := range []string{"likelihood/mean-logprob", "consistency/agreement", "verbal/stated"} {
		p, err := calibrate.Pool(signal, units[signal])
		if err != nil {
			return err
		}
		priors = append(priors, p)
	}
	raw, err := json.MarshalIndent(priors, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "priors.json"), append(raw, '\n'), 0o644)
}

type adder func(signal, unit string, r monitor.Reading, right bool)

// eachRecord reads a gzipped CSV file with a header.
func eachRecord(path string, use func(field func(string) string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r := csv.NewReader(z)
	header, err := r.Read()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	at := map[string]int{}
	for i, name := range header {
		at[name] = i
	}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = use(func(name string) string { return row[at[name]] })
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
}

// optionProbabilities reads the probability of the chosen option, which is the
// probability of a one-token answer, of five models on five sets.
func optionProbabilities(path string, add adder) error {
	return eachRecord(path, func(field func(string) string) error {
		p, err := strconv.ParseFloat(field("confidence"), 64)
		if err != nil {
			return err
		}
		add("likelihood/mean-logprob", field("model")+" on "+field("dataset"), monitor.Reading{Score: p, Source: "logprobs"}, field("grade") == "Correct")
		return nil
	})
}

// mmluPro reads perplexity-based and stated confidence; a missing value is left out.
func mmluPro(path, model string, add adder) error {
	return eachRecord(path, func(field func(string) string) error {
		right := field("extracted") == field("correct")
		for column, signal := range map[string]string{"logit_perplexity": "likelihood/mean-logprob", "verbal_numerical": "verbal/stated"} {
			if p, err := strconv.ParseFloat(field(column), 64); err == nil && p >= 0 && p <= 1 {
				add(signal, model+" on mmlu-pro", monitor.Reading{Score: p, Source: "asked"}, right)
			}
		}
		return nil
	})
}

// triviaSamples reads how many of ten samples agree with the greedy answer.
func triviaSamples(path string, add adder) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var rows []struct {
		Question string   `json:"question"`
		Greedy   string   `json:"greedy_completion"`
		Samples  []string `json:"sampled_completions"`
		Label    string   `json:"string_matching_greedy_label"`
	}
	if err := json.Unmarshal(raw, &rows); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, row := range rows {
		task := text.Task{Question: row.Question}
		answer := task.Extract(row.Greedy)
		if answer.Status != text.Parsed {
			continue // refused or unreadable: there is nothing to be right or wrong
		}
		same := 0
		for _, s := range row.Samples {
			if task.Key(task.Extract(s)) == task.Key(answer) {
				same++
			}
		}
		n := len(row.Samples)
		add("consistency/agreement", "gemma-2b-it on TriviaQA", monitor.Reading{Score: float64(same) / float64(n), Raw: float64(same), Source: "samples", Reads: n}, row.Label == "correct")
	}
	return nil
}
