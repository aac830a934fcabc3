package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"gnothi/engine/enginetest"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: tiny FOLDER")
	}
	type entry struct {
		Name string  `json:"name"`
		File string  `json:"file"`
		IDs  []int32 `json:"ids"`
	}
	var list []entry
	for i, c := range enginetest.Cases() {
		path := filepath.Join(os.Args[1], fmt.Sprintf("%02d.gguf", i))
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		if err := c.Tiny.Write(f); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		list = append(list, entry{c.Name, path, c.IDs})
	}
	b, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(os.Args[1], "cases.json"), b, 0o644)
}
