package interchange_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gnothi/eval"
	"gnothi/eval/interchange"
)

// A line that lm-eval wrote for a question with two options becomes evidence.
func ExampleRead() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "samples_wet.jsonl")
	line := `{"doc_id": 0, "target": "0", "arguments": [["Which is wet?", " rain"], ["Which is wet?", " sand"]], "resps": [[["-1.0", "True"]], [["-2.0", "False"]]], "acc": 1.0}`
	if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	var src interchange.Source
	for a, err := range interchange.Read(path, interchange.Options{}, &src) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %s, %s, share %.2f\n", a.ID, *a.Answer, a.Outcome, a.Scores[interchange.OptionScore])
	}
	fmt.Println(src.Format, src.Scorer, src.Outcomes)
	// Output:
	// wet/0: rain, right, share 0.73
	// lm-eval samples acc map[right:1]
}

// A model's text is no formula.
func ExampleWriteCSV() {
	records := func(yield func(eval.Record, error) bool) {
		yield(eval.Record{Study: "qa", Key: "k", Outcome: eval.OutcomeWrong, Item: json.RawMessage(`{"question":"1+1?","answers":["2"]}`), Result: json.RawMessage(`{"answer":"=1+1"}`)}, nil)
	}
	var b strings.Builder
	if err := interchange.WriteCSV(&b, interchange.Run{Header: eval.Header{Model: "script:x"}}, records); err != nil {
		fmt.Println(err)
	}
	fmt.Print(strings.ReplaceAll(b.String(), "\r\n", "\n"))
	// Output:
	// study,model,key,index,outcome,error,question,options,answers,answer,signals,item,result,calls,prompt_tokens,completion_tokens,usd,wall_ms
	// qa,script:x,k,0,wrong,,1+1?,,2,'=1+1,,"{""question"":""1+1?"",""answers"":[""2""]}","{""answer"":""=1+1""}",0,0,0,0,0
}
