package script

import (
	"strings"

	"gnothi/llm"
)

// Models of known behaviour, for tests of what a method makes of them. [Texts]
// is the constant one, and with "Yes" the one that always agrees.

// By makes a model that says what f makes of the prompt: an oracle, if f knows.
func By(f func(prompt string) string) *Model {
	return New(func(op llm.Op, _ int) Reply { return Reply{Text: f(Prompt(op.Request))} })
}

// FirstOf makes a model that says whichever of the options stands first in the
// prompt, or if none does the first one given: all position and no content.
func FirstOf(options ...string) *Model {
	return By(func(prompt string) string {
		best, at := options[0], len(prompt)
		for _, o := range options {
			if i := strings.Index(prompt, o); i >= 0 && i < at {
				best, at = o, i
			}
		}
		return best
	})
}

// Noise makes a model that says one of the options by chance: a hash of seed,
// prompt and repeat index.
func Noise(seed uint64, options ...string) *Model {
	return New(func(op llm.Op, i int) Reply {
		return Reply{Text: options[llm.Derive(seed, Prompt(op.Request), i)%uint64(len(options))]}
	})
}

// CopyCat makes a model that says its prompt back.
func CopyCat() *Model { return By(func(prompt string) string { return prompt }) }
