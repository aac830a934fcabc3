package gguf_test

import (
	"bytes"
	"fmt"
	"log"

	"gnothi/engine/gguf"
)

// A small file is written, read, and one of its tensors expanded.
func Example() {
	weights, err := gguf.Quantise(gguf.F16, []float32{0.5, -1, 2, 0.25})
	if err != nil {
		log.Fatal(err)
	}
	var file bytes.Buffer
	err = gguf.Write(&file,
		[]gguf.KV{{Key: "general.architecture", Value: "llama"}, {Key: "llama.block_count", Value: uint32(1)}},
		[]gguf.Tensor{{Name: "blk.0.attn_q.weight", Type: gguf.F16, Shape: []int{2, 2}, Data: weights}})
	if err != nil {
		log.Fatal(err)
	}

	f, err := gguf.Decode("tiny.gguf", file.Bytes()) // gguf.Open for a file on disk
	if err != nil {
		log.Fatal(err)
	}
	arch, _ := f.String("general.architecture")
	w, _ := f.Tensor("blk.0.attn_q.weight")
	row := make([]float32, w.Shape[0])
	if err := gguf.Dequantise(row, w.Type, w.Data[w.RowBytes():2*w.RowBytes()]); err != nil {
		log.Fatal(err)
	}
	fmt.Println(arch, w.Type, w.Shape, row)
	// Output: llama F16 [2 2] [2 0.25]
}

func ExampleDecode_damaged() {
	_, err := gguf.Decode("model.gguf", []byte("GGUF\x03\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00"))
	fmt.Println(err)
	// Output: gguf: model.gguf: header (byte 8): 18446744073709551615 tensors are more than the file can hold (at most 0)
}
