// Command gateway measures what gnothi serve costs: its own mock upstream, asked
// directly, through gnothi, through a bare reverse proxy of the standard library
// and, if it is given one, through smg, in blocks that take turns within one run.
//
//	go build -o /tmp/gnothi ./cmd/gnothi
//	go run ./bench/gateway -gnothi /tmp/gnothi -smg VENV/bin/smg
//
// README.md has the figures and what each part measures. Linux only, where it
// reads memory from /proc.
package main
