package token

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gnothi/engine/gguf"
)

// ErrNoTemplate is the error of [TemplateOf] for a file that brings no chat template: a base model.
var ErrNoTemplate = errors.New("the file has no chat template")

// Turn is one message of a conversation.
type Turn struct {
	Role string // "system", "user", "assistant", or what else the model knows: letters, digits, - and _
	Text string
}

// Template lays out a conversation as a prompt.
type Template struct {
	name   string
	sha256 string // of the Jinja source that does the same, "" if no file brings it
	layout func(turns []Turn, addGenerationPrompt bool) []span
}

// span is a stretch of a prompt: a control token by name, or plain text.
type span struct {
	text    string
	control bool
}

// templates lists the layouts.
func templates() []Template {
	return []Template{
		{name: "chatml", layout: chatML("")},
		{
			name:   "smollm2",
			sha256: "872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788",
			layout: chatML("You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
		},
	}
}

// TemplateNames lists what [TemplateByName] takes.
func TemplateNames() []string {
	var names []string
	for _, t := range templates() {
		names = append(names, t.name)
	}
	return names
}

// TemplateByName returns a template by name: "chatml" is ChatML as it stands, "smollm2" the same with SmolLM2's system
// turn where a conversation starts without one.
func TemplateByName(name string) (*Template, error) {
	for _, t := range templates() {
		if t.name == name {
			return &t, nil
		}
	}
	return nil, fmt.Errorf("token: no template %.80q; there are %s", name, strings.Join(TemplateNames(), ", "))
}

// TemplateOf returns the template that a file asks for. It runs no template code: the file's Jinja source is compared
// with those whose layout is known here. A file without one gives an error that wraps [ErrNoTemplate].
func TemplateOf(f *gguf.File) (*Template, error) {
	const key = "tokenizer.chat_template"
	source, ok := f.String(key)
	if !ok {
		return nil, fmt.Errorf("token: %s: %w; name one of %s, or prompt without", f.Name(), ErrNoTemplate, strings.Join(TemplateNames(), ", "))
	}
	sum := sha256.Sum256([]byte(source))
	hash := hex.EncodeToString(sum[:])
	for _, t := range templates() {
		if t.sha256 == hash {
			return &t, nil
		}
	}
	return nil, fmt.Errorf("token: %s: key %q: the chat template with SHA-256 %s is not known; name the one that fits: %s",
		f.Name(), key, hash, strings.Join(TemplateNames(), ", "))
}

// chatML gives each turn as <|im_start|>role, newline, text<|im_end|>, newline. system is the text of the system turn
// that a conversation without one gets in front, "" for none.
func chatML(system string) func([]Turn, bool) []span {
	open, shut := span{"<|im_start|>", true}, span{"<|im_end|>", true}
	return func(turns []Turn, addGenerationPrompt bool) []span {
		if system != "" && turns[0].Role != "system" {
			turns = slices.Insert(slices.Clone(turns), 0, Turn{"system", system})
		}
		var out []span
		for _, turn := range turns {
			out = append(out, open, span{text: turn.Role + "\n" + turn.Text}, shut, span{text: "\n"})
		}
		if addGenerationPrompt {
			out = append(out, open, span{text: "assistant\n"})
		}
		return out
	}
}

// Name is the name of the template.
func (t *Template) Name() string { return t.name }

func (t *Template) spans(turns []Turn, addGenerationPrompt bool) ([]span, error) {
	if len(turns) == 0 {
		return nil, errors.New("token: the conversation has no turns")
	}
	for i, turn := range turns {
		bad := func(r rune) bool {
			return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
		}
		if turn.Role == "" || len(turn.Role) > 64 || strings.ContainsFunc(turn.Role, bad) {
			return nil, fmt.Errorf("token: turn %d: role %.80q is not a word of letters, digits, - and _", i+1, turn.Role)
		}
	}
	return t.layout(turns, addGenerationPrompt), nil
}

// Render returns the prompt as text. It is for people to read: encoded again with special tokens parsed, a marker that
// a user has typed would count. Use [Template.Encode] for prompts.
func (t *Template) Render(turns []Turn, addGenerationPrompt bool) (string, error) {
	spans, err := t.spans(turns, addGenerationPrompt)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, s := range spans {
		b.WriteString(s.text)
	}
	return b.String(), nil
}

// Encode returns the prompt as tokens. Only the template's own markers are control tokens, whatever the turns contain.
// With addGenerationPrompt it ends where the model's answer begins.
func (t *Template) Encode(tok *Tokenizer, turns []Turn, addGenerationPrompt bool) ([]int32, error) {
	spans, err := t.spans(turns, addGenerationPrompt)
	if err != nil {
		return nil, err
	}
	var out []int32
	if tok.addBOS {
		out = append(out, tok.bos)
	}
	for _, s := range spans {
		if !s.control {
			out = append(out, tok.Encode(s.text, Options{})...)
			continue
		}
		id, ok := tok.Control(s.text)
		if !ok {
			return nil, fmt.Errorf("token: template %q needs the control token %q, which this vocabulary does not have", t.name, s.text)
		}
		out = append(out, id)
	}
	return out, nil
}
