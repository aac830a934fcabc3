package verbal

import (
	"context"

	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// Stated is verbal/stated: the confidence that the model puts into words when
// asked for a number from 0 to 100 (Lin et al. 2022; Xiong et al. 2024). A reply
// without one is unparsed: an error, never a score. It is what
// thinking-out-loud-lrm-calibration and confidence-competence-gap measure.
func Stated() monitor.Signal {
	return monitor.Each("verbal/stated", func(ctx context.Context, t *monitor.Trial, c *monitor.Candidate) (monitor.Reading, error) {
		p, err := monitor.Get(ctx, t, Confidence{c})
		return monitor.Reading{Score: p, Raw: p, Source: "asked", Reads: 1}, err
	})
}

var confidenceTemplate = prompt.Template{Name: "confidence", Version: 1, Text: "Question: {question}\nProposed answer: {answer}\nHow confident are you that the proposed answer is correct? Reply with one number from 0 to 100 and nothing else."}

// Confidence is the evidence of the confidence that the model states.
type Confidence struct{ Candidate *monitor.Candidate }

// Gather implements monitor.Evidence.
func (e Confidence) Gather(ctx context.Context, t *monitor.Trial) (float64, error) {
	reply, err := t.Ask(ctx, question(t, confidenceTemplate, e.Candidate, 32))
	if err != nil {
		return 0, err
	}
	c, err := text.ParseConfidence(text.Sanitise(reply.Text), text.PercentScale)
	return c.P, err
}
