// Command tiny writes the seeded models of enginetest.Cases as files, and their list, for llama.cpp to run. Of ours it
// imports engine/enginetest.
package main
