package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"gnothi/llm/llmtest"
)

func main() {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("http://%s/v1\n", listener.Addr())
	server := http.Server{Handler: llmtest.Assistant(), ReadHeaderTimeout: time.Minute}
	fmt.Fprintln(os.Stderr, server.Serve(listener))
	os.Exit(1)
}
