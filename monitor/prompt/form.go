package prompt

import (
	"encoding/json"
	"strings"

	"gnothi/llm"
	"gnothi/monitor"
	"gnothi/text"
)

// Form is the way in which a question becomes a request.
type Form struct {
	Name    string
	Version int
	// Words is everything constant that the form says; it is what ID hashes.
	Words   string
	Request func(monitor.Question) llm.Request
}

// ID is name@version:hash.
func (f Form) ID() string { return Template{f.Name, f.Version, f.Words}.ID() }

// shortQuestion bounds, in bytes, what the few-shot form is meant for.
const shortQuestion = 300

// Select gives the form of a name: shots, chat, or auto, which asks a short
// question on one line with examples and anything else through the chat
// template. The few-shot form is raw text where the model can continue one, and
// chat turns elsewhere.
func Select(name string, m llm.Model, q monitor.Question) (Form, bool) {
	shots := ShotsChat
	if m.Can(llm.RawPrompt) && len(q.Images) == 0 { // raw text has no place for an image
		shots = ShotsRaw
	}
	form, ok := pick(name, shots, q)
	if ok && len(q.Options) > 0 {
		form = form.withOptions()
	}
	if ok && len(q.Images) > 0 {
		form = form.withImages()
	}
	return form, ok
}

func pick(name string, shots Form, q monitor.Question) (Form, bool) {
	switch name {
	case "chat":
		return Chat, true
	case "shots":
		return shots, true
	case "auto", "":
		if s := strings.TrimSpace(q.Text); len(s) > shortQuestion || strings.ContainsAny(s, "\n\r") || q.Context != "" {
			return Chat, true
		}
		return shots, true
	}
	return Form{}, false
}

// optionWords ask for one of the options shown.
const optionWords = "Answer with the letter of one option."

// withOptions is the form with the question's options shown after it, under
// their letters.
func (f Form) withOptions() Form {
	ask := f.Request
	f.Name, f.Words = f.Name+"-options", f.Words+optionWords
	f.Request = func(q monitor.Question) llm.Request {
		var b strings.Builder
		b.WriteString(q.Text + "\n")
		for _, o := range q.Options {
			b.WriteString(o.Letter + ") " + oneLine(o.Text) + "\n")
		}
		q.Text = b.String() + optionWords
		return ask(q)
	}
	return f
}

// withImages is a chat form with the question's images in its last message, as
// parts of the kind that OpenAI's protocol has; providers translate them.
func (f Form) withImages() Form {
	ask := f.Request
	f.Name += "-images"
	f.Request = func(q monitor.Question) llm.Request {
		req := ask(q)
		last := &req.Messages[len(req.Messages)-1]
		type url struct {
			URL string `json:"url"`
		}
		type part struct {
			Type  string `json:"type"`
			Text  string `json:"text,omitempty"`
			Image *url   `json:"image_url,omitempty"`
		}
		parts := []part{{Type: "text", Text: last.Text}}
		for _, image := range q.Images {
			parts = append(parts, part{Type: "image_url", Image: &url{image}})
		}
		last.Raw, _ = json.Marshal(map[string]any{"role": last.Role, "content": parts}) // strings only: cannot fail
		return req
	}
	return f
}

// Chat asks through the model's chat template and leaves the length open.
var Chat = Form{
	Name: "chat", Version: 1,
	Request: func(q monitor.Question) llm.Request {
		content := q.Text
		if q.Context != "" {
			content = "Context: " + Quote(q.Context) + "\n\n" + content
		}
		return llm.Request{Messages: []llm.Message{{Role: "user", Text: content}}, MaxTokens: 512}
	},
}

// shots are the examples of the few-shot forms: short answers of several kinds.
var shots = []struct{ q, a string }{
	{"What is the capital of Portugal?", "Lisbon"},
	{"Who composed the opera Carmen?", "Georges Bizet"},
	{"How many strings does a violin have?", "4"},
	{"Is ice colder than steam?", "Yes"},
	{"What is 6 + 9?", "15"},
	{"What is the opposite of early?", "late"},
	{"Which country is Fado music from?", "Portugal"},
	{"What is made from grapes by fermenting them?", "Wine"},
}

// answerTokens bounds a short answer.
const answerTokens = 32

// ShotsRaw asks for a short answer by continuing a text of question and answer
// lines. On a small model it costs few tokens and leaves the answer's
// log-probabilities undiluted by chatter.
var ShotsRaw = Form{
	Name: "shots-raw", Version: 1, Words: shotText(),
	Request: func(q monitor.Question) llm.Request {
		return llm.Request{Prompt: shotText() + contextLine(q) + "Question: " + oneLine(q.Text) + "\nAnswer:", Stop: []string{"\n"}, MaxTokens: answerTokens}
	},
}

// ShotsPrefix is the constant beginning of every ShotsRaw prompt, which an
// engine may keep evaluated.
func ShotsPrefix() string { return shotText() + "Question:" }

// ShotsChat asks for a short answer after the same examples as chat turns.
var ShotsChat = Form{
	Name: "shots-chat", Version: 1, Words: shotText(),
	Request: func(q monitor.Question) llm.Request {
		var ms []llm.Message
		for _, s := range shots {
			ms = append(ms, llm.Message{Role: "user", Text: s.q}, llm.Message{Role: "assistant", Text: s.a})
		}
		ms = append(ms, llm.Message{Role: "user", Text: contextLine(q) + oneLine(q.Text)})
		return llm.Request{Messages: ms, MaxTokens: 4 * answerTokens}
	},
}

func shotText() string {
	var b strings.Builder
	for _, s := range shots {
		b.WriteString("Question: " + s.q + "\nAnswer: " + s.a + "\n\n")
	}
	return b.String()
}

// contextLine is what a question is to be answered from, if it comes with it.
func contextLine(q monitor.Question) string {
	if strings.TrimSpace(q.Context) == "" {
		return ""
	}
	return "Context: " + Quote(oneLine(q.Context)) + "\n"
}

// oneLine keeps a question from ending its own line of the form.
func oneLine(s string) string { return strings.Join(strings.Fields(text.Sanitise(s)), " ") }
