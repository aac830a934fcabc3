package eval_test

import (
	"context"
	"fmt"

	"gnothi/eval"
	"gnothi/llm/script"
	"gnothi/monitor"
	"gnothi/text"
)

// A study in a few lines: does the model say that it is sure of its sums?
func ExampleStudy() {
	type sum struct{ A, B int }
	type answer struct{ Sure bool }
	s := eval.Study[sum, answer]{
		Name: "sure-of-sums", About: "says whether it is sure of a sum", Needs: "text",
		Items: eval.List(func(s eval.Source) ([]sum, error) { return eval.Lines(s, "sums.jsonl", []sum{{1, 2}, {17, 25}}) }),
		Ask: func(ctx context.Context, s *eval.Session, i sum) (answer, error) {
			reply, err := s.Aside(ctx, monitor.Aside{Role: "ask", Text: fmt.Sprintf("Are you sure of %d + %d? Yes or No.", i.A, i.B), MaxTokens: 4})
			if err != nil {
				return answer{}, err
			}
			sure, ok := text.ReadBool(reply.Text)
			if !ok {
				return answer{}, eval.ErrUnparsed
			}
			return answer{sure}, nil
		},
		Measure: func(rs []answer) []eval.Measure {
			sure := 0
			for _, r := range rs {
				if r.Sure {
					sure++
				}
			}
			return []eval.Measure{eval.Share("says that it is sure", sure, len(rs))}
		},
	}
	report, err := eval.Run(context.Background(), s, eval.Subject{Model: script.Texts("Yes.")}, eval.Options{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Outcomes.Measured, "measured;", report.Measures[0].Name, report.Measures[0].Figure)
	// Output:
	// 2 measured; says that it is sure 1.000 [0.342, 1.000] (n=2)
}
