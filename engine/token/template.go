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
	sha256 []string // of the Jinja sources that do the same; none where files differ in what does not matter
	layout func(turns []Turn, addGenerationPrompt bool) ([]span, error)
}

// span is a stretch of a prompt: a control token by name, or plain text.
type span struct {
	text    string
	control bool
}

// templates lists the layouts.
func templates() []Template {
	return []Template{
		{name: "chatml", sha256: []string{"fcf7a096fe99a48fd9ad2b250bf9237e96e8f48bffec1c7ea4d3f225176cd40e"}, layout: chatML("")},
		{
			name:   "smollm2",
			sha256: []string{"872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788"},
			layout: chatML("You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
		},
		{
			name:   "qwen1.5",
			sha256: []string{"af9c0233881b083b52ff773580215222b5440ac3d0beeeca99b76329b048f8db"},
			layout: chatML("You are a helpful assistant"),
		},
		{
			name:   "qwen2",
			sha256: []string{"793202280c0910ab26bc6eb57c8212c2417324c6d8c4efd0d10d59092ab3e3eb"},
			layout: chatML("You are a helpful assistant."),
		},
		{name: "qwen2.5", layout: chatML("You are Qwen, created by Alibaba Cloud. You are a helpful assistant.")},
		{name: "qwen3", layout: qwen3},
		{
			name: "gemma",
			sha256: []string{
				"3c050259279da4341947d5f012aadc5975af71c235e71ef7e520531aaec17a86",
				"1e51d5c0fec2f83da1953fb850b7b532b7da02d0dc35f9201e671e0b9a35a123", // with BOS spelled out
			},
			layout: gemma,
		},
		{
			name:   "llama3",
			sha256: []string{"ba03a121d097859c7b5b9cd03af99aafe95275210d2876f642ad9929a150f122"},
			layout: llama3,
		},
		{name: "llama3.1", layout: llama31},
		{
			name:   "zephyr",
			sha256: []string{"66291cf0045c2425a3a667cf3cbb7af2b11f09e025c02f97245323ab79119362"},
			layout: zephyr,
		},
		{
			name:   "mistral",
			sha256: []string{"26a59556925c987317ce5291811ba3b7f32ec4c647c400c6cc7e3a9993007ba7"},
			layout: mistral,
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

// TemplateByName returns a template by name. "chatml" is ChatML as it stands; "smollm2", "qwen1.5", "qwen2" and "qwen2.5"
// are the same with their makers' system turn where a conversation starts without one, "qwen3" the same without the
// thoughts in earlier answers. "gemma" (also of Gemma 3) puts system text into the first user turn. "llama3" is Llama 3's,
// "llama3.1" also that of 3.2, with the date that its makers wrote into it. "zephyr" (TinyLlama) and "mistral" (Mistral 7B)
// mark turns with plain text: with these alone a user can write what looks like the beginning of another turn.
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
		if slices.Contains(t.sha256, hash) {
			return &t, nil
		}
	}
	return nil, fmt.Errorf("token: %s: key %q: the chat template with SHA-256 %s is not known; name the one that fits: %s",
		f.Name(), key, hash, strings.Join(TemplateNames(), ", "))
}

// chatML gives each turn as <|im_start|>role, newline, text<|im_end|>, newline. system is the text of the system turn
// that a conversation without one gets in front, "" for none.
func chatML(system string) func([]Turn, bool) ([]span, error) {
	open, shut := span{"<|im_start|>", true}, span{"<|im_end|>", true}
	return func(turns []Turn, addGenerationPrompt bool) ([]span, error) {
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
		return out, nil
	}
}

// qwen3 is ChatML in which answers before the last question lose their thoughts, and those after it show them or that
// there were none.
func qwen3(turns []Turn, addGenerationPrompt bool) ([]span, error) {
	turns = slices.Clone(turns)
	asked := len(turns) - 1
	for i, t := range turns {
		if t.Role == "user" {
			asked = i
		}
	}
	for i := range turns {
		t := &turns[i]
		if t.Role != "assistant" {
			continue
		}
		thought := ""
		if before, _, ok := strings.Cut(t.Text, "</think>"); ok {
			if i := strings.LastIndex(before, "<think>"); i >= 0 {
				before = before[i+len("<think>"):]
			}
			thought = strings.Trim(before, "\n")
			t.Text = strings.TrimLeft(t.Text[strings.LastIndex(t.Text, "</think>")+len("</think>"):], "\n")
		}
		if i > asked && (i == len(turns)-1 || thought != "") {
			t.Text = "<think>\n" + thought + "\n</think>\n\n" + strings.TrimLeft(t.Text, "\n")
		}
	}
	return chatML("")(turns, addGenerationPrompt)
}

// alternate refuses a conversation in which user and assistant do not take turns, the user first.
func alternate(turns []Turn) error {
	for i, t := range turns {
		if want := [2]string{"user", "assistant"}[i%2]; t.Role != want {
			return fmt.Errorf("token: turn %d is of %q where this template wants one of %q", i+1, t.Role, want)
		}
	}
	return nil
}

// merged is a conversation without its system turn, whose text precedes that of the first user turn.
func merged(turns []Turn) []Turn {
	if len(turns) > 1 && turns[0].Role == "system" && turns[1].Role == "user" {
		system := turns[0].Text
		turns = slices.Clone(turns[1:])
		turns[0].Text = system + "\n\n" + strings.TrimSpace(turns[0].Text)
	}
	return turns
}

func gemma(turns []Turn, addGenerationPrompt bool) ([]span, error) {
	turns = merged(turns)
	if err := alternate(turns); err != nil {
		return nil, err
	}
	open, shut := span{"<start_of_turn>", true}, span{"<end_of_turn>", true}
	var out []span
	for i, turn := range turns {
		text := strings.TrimSpace(turn.Text)
		out = append(out, open, span{text: [2]string{"user", "model"}[i%2] + "\n" + text}, shut, span{text: "\n"})
	}
	if addGenerationPrompt {
		out = append(out, open, span{text: "model\n"})
	}
	return out, nil
}

func llama3(turns []Turn, addGenerationPrompt bool) ([]span, error) {
	var out []span
	header := func(role string) {
		out = append(out, span{"<|start_header_id|>", true}, span{text: role}, span{"<|end_header_id|>", true})
	}
	for _, turn := range turns {
		header(turn.Role)
		out = append(out, span{text: "\n\n" + strings.TrimSpace(turn.Text)}, span{"<|eot_id|>", true})
	}
	if addGenerationPrompt {
		header("assistant")
		out = append(out, span{text: "\n\n"})
	}
	return out, nil
}

func llama31(turns []Turn, addGenerationPrompt bool) ([]span, error) {
	system := ""
	if turns[0].Role == "system" {
		system, turns = strings.TrimSpace(turns[0].Text), turns[1:]
	}
	rest, err := llama3(turns, addGenerationPrompt)
	text := "\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n" + system
	return append([]span{
		{"<|start_header_id|>", true},
		{text: "system"},
		{"<|end_header_id|>", true},
		{text: text},
		{"<|eot_id|>", true},
	}, rest...), err
}

func zephyr(turns []Turn, addGenerationPrompt bool) ([]span, error) {
	var out []span
	for _, turn := range turns {
		out = append(out, span{text: "<|" + turn.Role + "|>\n" + turn.Text}, span{"</s>", true}, span{text: "\n"})
	}
	if addGenerationPrompt {
		out = append(out, span{text: "<|assistant|>\n"})
	}
	return out, nil
}

func mistral(turns []Turn, _ bool) ([]span, error) {
	if err := alternate(turns); err != nil {
		return nil, err
	}
	var out []span
	for _, turn := range turns {
		if turn.Role == "user" {
			out = append(out, span{text: "[INST] " + turn.Text + " [/INST]"})
		} else {
			out = append(out, span{text: turn.Text}, span{"</s>", true})
		}
	}
	return out, nil
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
	spans, err := t.layout(turns, addGenerationPrompt)
	if err != nil {
		return nil, err
	}
	// Plain text that lies side by side is one text: it is cut into words as a whole.
	out := spans[:0]
	for _, s := range spans {
		if n := len(out); n > 0 && !s.control && !out[n-1].control {
			out[n-1].text += s.text
		} else {
			out = append(out, s)
		}
	}
	return out, nil
}

// Render returns the prompt as text, without the BOS that some models want in front. It is for people to read: encoded again with special tokens parsed, a marker that
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
