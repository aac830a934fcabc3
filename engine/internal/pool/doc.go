// Package pool runs many short tasks on a fixed set of goroutines. A forward pass hands out work
// some 150 times a token, a few microseconds each, so workers spin briefly between calls, and park
// when nothing comes. Of ours the package imports engine/internal/kernel, for the CPU's pause.
package pool
