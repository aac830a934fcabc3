package learn

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

var (
	taskAsk = map[bool]prompt.Template{
		true:  {Name: "task-feasible", Version: 1, Text: "A task that you, a language model, can do: {task}\nWrite another, different task that you can do. Reply with one line: the task, and nothing else."},
		false: {Name: "task-infeasible", Version: 1, Text: "A task that you, a language model, cannot do: {task}\nWrite another, different task that you cannot do. Reply with one line: the task, and nothing else."},
	}
	// The order of the two words alternates.
	feasibleAsk = [2]prompt.Template{
		{Name: "feasible", Version: 1, Text: "Task: {task}\nCan you, a language model, do this task in a reply? Reply with one word: Feasible or Infeasible."},
		{Name: "infeasible", Version: 1, Text: "Task: {task}\nCan you, a language model, do this task in a reply? Reply with one word: Infeasible or Feasible."},
	}
)

// KnowRL is the recipe `knowrl` (Kale et al. 2025; the part without gradients):
// after a seed task with its label, feasible or not, the model writes a new task
// that it believes to be of the same kind; k fresh contexts classify it, the
// order of the labels alternating; the reward of having written it is the share
// of the k that agree with the label. Each classification is a row of its own,
// under the role classifier, rewarded by agreeing with the majority. Without a
// label the question itself is the task, nothing is written, and its reward is
// the majority's share. 1 + k calls.
//
// Agreement is not knowledge: the report counts where all k always agree, and
// outside gains have to be measured on tasks whose answer is known. Tasks that
// nearly repeat another of the set are left out, and infeasible ones that ask
// for a deed in the physical world beyond three tenths. Chosen: temperature 1.
func KnowRL(k int) Recipe {
	return Recipe{
		Name: "knowrl", About: "tasks the model says the same of each time it is asked whether it can do them",
		Needs: "tasks; of those with \"feasible\" new ones are written",
		Rows: func(ctx context.Context, t *monitor.Trial, p Prompt, m *Made) error {
			task, asked := p.Question, ""
			if p.Feasible != nil {
				asked = taskAsk[*p.Feasible].Fill("task", p.Question)
				reply, err := t.Aside(ctx, monitor.Aside{Role: "generate", Text: asked, MaxTokens: 64, Temperature: 1})
				if err != nil {
					return err
				}
				task, _, _ = strings.Cut(strings.TrimSpace(text.Sanitise(reply.Text)), "\n")
				if why, bad := text.Degenerate(task, asked); bad || reply.Finish == "length" {
					m.Drop("task: " + strings.TrimSpace("no task "+why))
					return nil
				}
			}
			votes := make([]Row, 0, k)
			yes := 0
			for side, ask := range feasibleAsk {
				n := (k + 1 - side) / 2
				if n == 0 {
					continue
				}
				words := ask.Fill("task", task)
				replies, err := t.Asides(ctx, monitor.Aside{Role: "judge", Index: side, Text: words, MaxTokens: 8, Temperature: 1}, n)
				if err != nil {
					return err
				}
				for _, r := range replies {
					feasible, ok := readFeasible(r.Text)
					if !ok {
						m.Drop("vote: cannot be read")
						continue
					}
					if feasible {
						yes++
					}
					votes = append(votes, Row{Kind: Reward, Role: "classifier", Prompt: words, Completion: strings.TrimSpace(r.Text), Right: &feasible})
				}
			}
			n := len(votes)
			if n == 0 {
				m.Drop("task: no vote can be read")
				return nil
			}
			reward := Consensus(yes, n, p.Feasible)
			m.Score(reward)
			m.Count("tasks on which all votes agree", yes == 0 || yes == n)
			if asked != "" {
				m.Add(Row{Kind: Reward, Prompt: asked, Completion: task, Reward: &reward, Right: nil,
					Scores: map[string]float64{"feasible": float64(yes) / float64(n), "votes": float64(n)}})
			} else {
				m.Value("share of the majority", reward)
			}
			for _, v := range votes {
				said := *v.Right
				v.Right = nil // what it said, and nobody knows the truth
				agree := 0.0
				if 2*yes != n && said == (2*yes > n) {
					agree = 1
				}
				v.Reward = &agree
				m.Add(v)
			}
			return nil
		},
		All: sortTasks,
	}
}

// Consensus is the reward of a task of n votes, yes of them that it is feasible:
// the share that agrees with the label it was written under, or where there is
// none the share of the majority (knowrl).
func Consensus(yes, n int, label *bool) float64 {
	share := float64(yes) / float64(n)
	switch {
	case label == nil:
		return max(share, 1-share)
	case *label:
		return share
	}
	return 1 - share
}

// readFeasible reads the one word.
func readFeasible(reply string) (feasible, ok bool) {
	s := text.Normalise(reply)
	no := strings.Contains(s, "infeasible") || strings.Contains(s, "not feasible") || strings.Contains(s, "unfeasible")
	yes := strings.Contains(strings.NewReplacer("infeasible", "", "unfeasible", "", "not feasible", "").Replace(s), "feasible")
	if no == yes {
		return false, false
	}
	return yes, true
}

// physical are words of deeds in the world: the easiest infeasible tasks.
var physical = []string{"cook", "clean", "walk", "drive", "lift", "carry", "paint the", "wash", "run a", "climb", "swim", "fly", "travel", "pick up", "eat", "drink", "touch", "smell", "taste", "dance", "jump"}

// sortTasks leaves out tasks that nearly repeat another, and physical ones beyond
// three tenths of all.
func sortTasks(rows []Row, m *Made) []Row {
	drop := map[string]string{} // by prompt id
	var kept []string
	tasks, deeds := 0, 0
	for _, r := range rows {
		if r.Role == "" {
			tasks++
		}
	}
	for _, r := range rows {
		if r.Role != "" {
			continue
		}
		for _, other := range kept {
			if text.Jaccard(other, text.Normalise(r.Completion)) > 0.7 {
				drop[r.ID] = "row: task nearly the same as another"
			}
		}
		if drop[r.ID] != "" {
			continue
		}
		if isDeed(r.Completion) {
			if deeds++; deeds > max(1, tasks*3/10) {
				drop[r.ID] = fmt.Sprintf("row: task for the physical world, beyond %d", max(1, tasks*3/10))
				continue
			}
		}
		kept = append(kept, text.Normalise(r.Completion))
	}
	var out []Row
	for _, r := range rows {
		if why := drop[r.ID]; why != "" {
			m.Drop(why)
			continue
		}
		out = append(out, r)
	}
	if len(rows) > 0 && !slices.ContainsFunc(rows, func(r Row) bool { return r.Role != "" && *r.Reward < 1 }) {
		m.Note("all votes agree on all tasks: that is an alarm, not knowledge")
	}
	return out
}

func isDeed(task string) bool {
	s := " " + text.Normalise(task) + " "
	for _, w := range physical {
		if strings.Contains(s, " "+w+" ") {
			return true
		}
	}
	return false
}
