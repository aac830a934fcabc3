// Command speed times the engine on a model file, once, and prints what it saw as JSON. bench/engine/run.py runs it in turn
// with llama.cpp. Of ours it imports engine.
package main
