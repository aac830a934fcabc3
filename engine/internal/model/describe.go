package model

import (
	"errors"

	"gnothi/engine/gguf"
)

// Describe reads the sizes of a file without its weights.
func Describe(f *gguf.File) (Spec, Config, error) {
	s, err := findSpec(f)
	if err != nil {
		return s, Config{}, err
	}
	c, err := readConfig(f, s)
	if err != nil {
		return s, c, err
	}
	emb, ok := f.Tensor("token_embd.weight")
	if !ok {
		return s, c, errors.New(`tensor "token_embd.weight" is missing`)
	}
	c.Vocab = emb.Rows()
	return s, c, nil
}

// PassBytes is the memory of a Pass, without what workers grow as texts get longer.
func (c *Config) PassBytes() int64 {
	q := c.Heads * c.HeadDim
	return 4 * MaxRows * int64(3*c.Dim+q+q+2*c.kvDim()+2*c.Hidden+c.RopeDims)
}
