package llm

import (
	"crypto/sha256"
	"encoding/binary"
)

// MaxSeed bounds every seed, so that JSON readers that keep numbers as doubles
// lose nothing.
const MaxSeed = 1 << 53

// Derive gives the seed of child i on a path below a root: a hash, so that
// adding a draw moves no other. It is never 0.
func Derive(root uint64, path string, i int) uint64 {
	var head [16]byte
	binary.LittleEndian.PutUint64(head[:8], root)
	binary.LittleEndian.PutUint64(head[8:], uint64(i))
	sum := sha256.Sum256(append(head[:], path...))
	if s := binary.LittleEndian.Uint64(sum[:8]) % MaxSeed; s != 0 {
		return s
	}
	return 1
}

// SeedOf gives the seed of the choice with a repeat index; 0 stays 0 (none).
func SeedOf(root uint64, index int) uint64 {
	if root == 0 {
		return 0
	}
	return Derive(root, "choice", index)
}
