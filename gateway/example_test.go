package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/tidwall/gjson"

	"gnothi/gateway"
	"gnothi/llm"
	"gnothi/llm/script"
)

func Example() {
	model := script.Texts("Paris", "Paris", "Lyon", "Paris").Named(llm.ID{Provider: "script", Name: "atlas"})
	handler, err := gateway.New(gateway.Options{Model: llm.Metered(model, nil), Policies: policies})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()

	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, server.URL+"/v1/chat/completions", strings.NewReader(`{
		"model": "atlas+self-consistency?n=4",
		"messages": [{"role": "user", "content": "What is the capital of France?"}]
	}`)))
	r := gjson.ParseBytes(answer.Body.Bytes())
	fmt.Println(r.Get("choices.0.message.content"), r.Get("gnothi.alternatives.0.answer"), r.Get("gnothi.spend.calls"))
	// Output: Paris Lyon 4
}
