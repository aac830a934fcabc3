package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"gnothi/gateway"
	"gnothi/llm"
	"gnothi/llm/script"
)

// echo is a model that says what it was asked.
func echo() *script.Model {
	return script.New(func(op llm.Op, _ int) script.Reply {
		return script.Reply{Text: op.Request.Messages[len(op.Request.Messages)-1].Text}
	})
}

// raw sends bytes to a server and reads responses until it closes the
// connection.
func raw(t *testing.T, url, request string) (answers []string) {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return answers
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		answers = append(answers, fmt.Sprintf("%d %s", resp.StatusCode, b))
	}
}

// A request within what a Content-Length covers, or after the end of a chunked
// body, is none: the connection ends with the answer.
func TestNoRequestWithinARequest(t *testing.T) {
	m := echo()
	url, _ := serve(t, gateway.Options{Model: named(m)})
	body := func(say string) string {
		return `{"model":"small","messages":[{"role":"user","content":"` + say + `"}]}`
	}
	post := func(header, body string) string {
		return "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" + header + "\r\n" + body
	}
	hidden := post(fmt.Sprintf("Content-Length: %d\r\n", len(body("hidden"))), body("hidden"))
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body("open")), body("open"))
	for name, c := range map[string]struct {
		request string
		status  string
	}{
		"both lengths":        {post(fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", len(chunked)+len(hidden)), chunked+hidden), "200"},
		"chunked and more":    {post("Transfer-Encoding: chunked\r\n", chunked+hidden), "200"},
		"two lengths":         {post(fmt.Sprintf("Content-Length: %d\r\nContent-Length: 7\r\n", len(body("open"))), body("open")+hidden), "400"},
		"unknown encoding":    {post("Transfer-Encoding: xchunked\r\n", chunked+hidden), "501"},
		"encoding with space": {post("Transfer-Encoding : chunked\r\n", chunked+hidden), "400"},
		"negative length":     {post("Content-Length: -5\r\n", body("open")+hidden), "400"},
	} {
		answers := raw(t, url, c.request)
		if len(answers) != 1 || !strings.HasPrefix(answers[0], c.status) || strings.Contains(answers[0], "hidden") {
			t.Errorf("%s: %q", name, answers)
		}
	}
	for _, op := range m.Ops() {
		if op.Request.Messages[0].Text == "hidden" {
			t.Error("the hidden request was answered")
		}
	}
}

// Bodies that are no request get a 4xx with an error object.
func TestBadBodies(t *testing.T) {
	url, _ := serve(t, gateway.Options{Model: named(echo())})
	deep := func(open, shut string) string { return strings.Repeat(open, 100_000) + strings.Repeat(shut, 100_000) }
	const good = `"model":"small","messages":[{"role":"user","content":"x"}]`
	for name, c := range map[string]struct {
		body   string
		status int
		param  string
	}{
		"nothing":             {"", 400, ""},
		"a list":              {"[]", 400, ""},
		"null":                {"null", 400, ""},
		"a number":            {"7", 400, ""},
		"no JSON":             {"hello", 400, ""},
		"cut":                 {`{` + good, 400, ""},
		"more after it":       {`{` + good + `}{}`, 400, ""},
		"deep list":           {deep("[", "]"), 400, ""},
		"deep object":         {deep(`{"a":`, "}"), 400, ""},
		"deep within":         {`{` + good + `,"x":` + deep("[", "]") + `}`, 400, ""},
		"invalid UTF-8":       {"{" + strings.Replace(good, `"x"`, "\"\xff\xfe\"", 1) + "}", 400, ""},
		"NUL":                 {"{" + good + ",\x00}", 400, ""},
		"no messages":         {`{"model":"small"}`, 400, "messages"},
		"messages as text":    {`{"model":"small","messages":"hi"}`, 400, "messages"},
		"messages of numbers": {`{"model":"small","messages":[7]}`, 400, "messages[0]"},
		"no role":             {`{"model":"small","messages":[{"content":"x"}]}`, 400, "messages[0].role"},
		"no model":            {`{"messages":[{"role":"user","content":"x"}]}`, 400, "model"},
		"model as a number":   {`{"model":7,"messages":[{"role":"user","content":"x"}]}`, 400, "model"},
		"stream as text":      {`{` + good + `,"stream":"yes"}`, 400, "stream"},
		"n of a thousand":     {`{` + good + `,"n":1000}`, 400, "n"},
		"temperature as text": {`{` + good + `,"temperature":"hot"}`, 400, "temperature"},
		"gnothi as a list":    {`{` + good + `,"gnothi":[]}`, 400, "gnothi"},
		"33 MiB":              {`{` + good + `,"x":"` + strings.Repeat("a", 33<<20) + `"}`, 413, ""},
	} {
		status, answer, _ := post(t, url+"/v1/chat/completions", c.body)
		if status != c.status || gjson.Get(answer, "error.message").String() == "" || gjson.Get(answer, "error.param").String() != c.param {
			t.Errorf("%s: %d %.300s", name, status, answer)
		}
	}
	for name, body := range map[string]string{
		"31 MiB":             `{` + good + `,"x":"` + strings.Repeat("a", 31<<20) + `"}`,
		"a member twice":     `{"model":"nobody","messages":[],` + good + `}`, // the last one counts, as in most readers
		"nested, but sanely": `{` + good + `,"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`,
	} {
		if status, answer, _ := post(t, url+"/v1/chat/completions", body); status != 200 || gjson.Get(answer, "choices.0.message.content").String() != "x" {
			t.Errorf("%s: %d %.300s", name, status, answer)
		}
	}
}
