package studies

import (
	"context"
	"fmt"
	"strings"

	"gnothi/eval"
	"gnothi/monitor"
	"gnothi/monitor/prompt"
	"gnothi/text"
)

// say asks in a fresh context and gives the text of the reply. A refusal is
// eval.ErrRefused.
func say(ctx context.Context, t *monitor.Trial, a monitor.Aside) (string, error) {
	reply, err := t.Aside(ctx, a)
	if err != nil {
		return "", err
	}
	return said(reply.Text)
}

// said cleans a reply. One that declines is an outcome of its own.
func said(reply string) (string, error) {
	reply = strings.TrimSpace(text.Sanitise(reply))
	if _, refused := text.Refusal(reply); refused {
		return reply, eval.ErrRefused
	}
	return reply, nil
}

// unparsed is eval.ErrUnparsed with the beginning of what could not be read.
func unparsed(want, reply string) error {
	return fmt.Errorf("%w: no %s in %q", eval.ErrUnparsed, want, text.Clip(text.SanitiseLine(reply), 60))
}

// field gives what stands behind "name:" on the last line that declares it,
// without decoration.
func field(reply, name string) (string, bool) {
	value, ok := "", false
	for line := range strings.Lines(reply) {
		line = strings.TrimLeft(strings.TrimSpace(line), "*#-_> ")
		if len(line) <= len(name) || !strings.EqualFold(line[:len(name)], name) {
			continue
		}
		rest := strings.TrimLeft(line[len(name):], "*_ ")
		if v, found := strings.CutPrefix(rest, ":"); found {
			if v = strings.Trim(v, "*_ \t\r\n\"'`.[]"); v != "" {
				value, ok = v, true
			}
		}
	}
	return value, ok
}

// label reads one of the labels.
func label(reply string, labels ...string) (string, error) {
	a := text.Task{Kind: text.Label, Labels: labels}.Extract(text.Sanitise(reply))
	switch a.Status {
	case text.Parsed:
		return a.Text, nil
	case text.Refused:
		return "", eval.ErrRefused
	}
	return "", unparsed(strings.Join(labels, " or "), reply)
}

// fill puts values into the slots of a template in one pass, so that no value is
// searched for slots: pairs of slot and value, of which the data are quoted and
// the rest, words of ours and what is quoted already, is not.
func fill(t prompt.Template, data []string, ours ...string) string {
	var pairs []string
	for i := 0; i+1 < len(data); i += 2 {
		pairs = append(pairs, "{"+data[i]+"}", prompt.Quote(data[i+1]))
	}
	for i := 0; i+1 < len(ours); i += 2 {
		pairs = append(pairs, "{"+ours[i]+"}", ours[i+1])
	}
	return strings.NewReplacer(pairs...).Replace(t.Text)
}
