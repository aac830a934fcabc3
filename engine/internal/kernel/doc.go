// Package kernel holds the inner loops of the engine: dot products of quantised weights with
// float32 activations, and the few row operations a transformer needs.
//
// Every loop exists twice: in AVX2+FMA+F16C assembly (amd64, unless built with the tag noasm) and
// as a Go twin, which is the readable definition and what other machines run. The choice is made
// once, from the CPU's own flags; Path names it.
//
// # Order of additions
//
// A dot product over k keeps eight partial sums, lane i taking the terms k ≡ i (mod 8) in rising
// order, and ends with ((l0+l1)+(l2+l3)) + ((l4+l5)+(l6+l7)). One input column or many, fused with
// dequantisation or through a dequantised tile: all paths add in this order, so a row's result does
// not depend on what else is in its batch, bit for bit. The twins keep the same order but do not
// fuse multiply and add, so results agree between the two paths only to rounding.
//
// Of ours the package imports engine/gguf alone, for the types of weights and for its reference
// dequantisation, the twin of the assembly's.
package kernel
