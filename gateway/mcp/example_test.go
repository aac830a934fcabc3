package mcp_test

import (
	"context"
	"fmt"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"gnothi/gateway/mcp"
	"gnothi/llm"
	"gnothi/llm/script"
)

func ExampleNew() {
	ctx := context.Background()
	server, err := mcp.New(mcp.Options{Model: llm.Metered(script.Texts("Paris"), nil)})
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ours, theirs := sdk.NewInMemoryTransports() // an agent has CommandTransport or StreamableClientTransport
	if _, err := server.Connect(ctx, ours); err != nil {
		panic(err)
	}
	agent, err := sdk.NewClient(&sdk.Implementation{Name: "agent"}, nil).Connect(ctx, theirs, nil)
	if err != nil {
		panic(err)
	}
	res, err := agent.CallTool(ctx, &sdk.CallToolParams{Name: "am_i_sure", Arguments: map[string]any{
		"question": "What is the capital of France?", "draft": "Lyon",
	}})
	if err != nil {
		panic(err)
	}
	found := res.StructuredContent.(map[string]any)
	fmt.Println(found["decision"], "because it answers", found["own_answer"])
	// Output: abstain because it answers Paris
}
