package control

import (
	"context"
	"fmt"
	"strings"

	"gnothi/monitor"
	"gnothi/monitor/prompt"
)

var (
	perspectivesAsk = Ask{Role: "rank", Template: prompt.Template{Name: "perspectives", Version: 1, Text: "Question: {question}\nList {count} different ways in which one could go about answering it: different roles, methods or views. Do not answer it. One a line, numbered, each an instruction of one sentence."}}
	perspectiveAsk  = Ask{Role: "sample", Template: prompt.Template{Name: "perspective", Version: 1, Text: "Question: {question}\nAnswer it in this way: {feedback}\n" + answerLine}}
	differencesAsk  = Ask{Role: "judge", Template: prompt.Template{Name: "differences", Version: 1, Text: "Question: {question}\nTwo solutions disagree.\nFirst: {first}\nSecond: {second}\nSay in one or two sentences where their steps and results differ."}}
	checklistAsk    = Ask{Role: "judge", Template: prompt.Template{Name: "checklist", Version: 1, Text: "Question: {question}\nDifferences between solutions: {differences}\nTurn them into a short numbered checklist of points to examine again."}}
	contrastAsk     = Ask{Role: "rewrite", Template: prompt.Template{Name: "contrast", Version: 1, Text: "Question: {question}\nEarlier solution: {answer}\nPoints to examine again: {feedback}\nExamine them and correct the solution where it is wrong. " + answerLine}}
)

// representatives is how many differing solutions are contrasted at most.
const representatives = 3

// SelfContrast is the policy `self-contrast` (self-contrast, Zhang et al.
// 2024): answers from several perspectives that the model thinks of itself; the
// differences between at most three that disagree become a checklist, by which
// each is revised; if the revisions agree that is the answer, else the vote
// over them and the answers before, where a tie goes to the smaller change.
// Where all perspectives agree nothing is contrasted. perspectives: 2..9.
//
// 1 + p calls where all agree, up to 1 + p + 3 + 1 + 3. Chosen: answers are
// classed by equivalence instead of by embeddings and k-medoids, and the
// heaviest classes are represented.
func SelfContrast(perspectives int) Policy {
	list := perspectivesAsk.With("count", fmt.Sprint(perspectives))
	return Loop{
		Name: named("self-contrast", differencesAsk, checklistAsk, contrastAsk),
		Start: Vote{Stop: Fixed(perspectives), Sampler: &Informed{
			Name: named("perspectives", list, perspectiveAsk), Answer: perspectiveAsk,
			Inform: func(ctx context.Context, t *monitor.Trial) ([]string, error) {
				words, err := list.words(ctx, t, 0)
				return listed(words, perspectives), err
			},
		}},
		Feedback: contrast, Revise: reviseEach, Keep: agreed, Rounds: 1,
	}
}

// differing gives one member of each of the heaviest classes.
func differing(r Result) []*monitor.Candidate {
	var out []*monitor.Candidate
	for _, class := range r.Classes[:min(representatives, len(r.Classes))] {
		out = append(out, r.Pool[class.Members[0]])
	}
	return out
}

func contrast(ctx context.Context, t *monitor.Trial, sofar Result) (string, bool, error) {
	cs := differing(sofar)
	if len(cs) < 2 {
		return "", true, nil
	}
	var found []string
	for i, a := range cs {
		for _, b := range cs[i+1:] {
			words, err := differencesAsk.words(ctx, t, len(found), "first", a.Text, "second", b.Text)
			if err != nil {
				return "", false, err
			}
			found = append(found, words)
		}
	}
	words, err := checklistAsk.words(ctx, t, len(found), "differences", strings.Join(found, "\n"))
	return words, false, err
}

func reviseEach(ctx context.Context, t *monitor.Trial, _ int, sofar Result, feedback string) (out []*monitor.Candidate, err error) {
	for i, c := range differing(sofar) {
		r, err := contrastAsk.candidate(ctx, t, i, c, "answer", c.Text, "feedback", feedback)
		if err != nil {
			return out, err
		}
		out = append(out, r)
	}
	return out, nil
}

// agreed takes the answer on which all revisions agree, else the majority over
// revisions and what was there before.
func agreed(ctx context.Context, t *monitor.Trial, sofar Result, revised []*monitor.Candidate) (*monitor.Candidate, error) {
	one := revised[0].Key
	for _, c := range revised {
		if c.Key != one {
			one = ""
		}
	}
	if one != "" {
		return revised[0], nil
	}
	all := Result{Pool: append(sofar.Pool[:len(sofar.Pool):len(sofar.Pool)], revised...)}
	err := Vote{}.count(ctx, t, &all)
	return all.Best, err
}
