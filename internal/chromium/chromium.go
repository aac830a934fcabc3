package chromium

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Browser is one page of a Chromium, driven through the DevTools protocol:
// https://chromedevtools.github.io/devtools-protocol. What goes wrong fails the
// test.
type Browser struct {
	t    testing.TB
	to   io.Writer
	next int
	mu   sync.Mutex
	// answers by the number of the command; requests and complaints of pages.
	answers    map[int]chan json.RawMessage
	requests   []string
	complaints []string
	dialogs    int
	session    string
}

// patience is for a machine that has much else to do.
const patience = 2 * time.Minute

// New starts Chromium, or skips the test where there is none; with
// GNOTHI_CHROMIUM=must it fails it instead. It ends with the test.
func New(t testing.TB) *Browser {
	t.Helper()
	skip := t.Skipf
	if os.Getenv("GNOTHI_CHROMIUM") == "must" && !testing.Short() {
		skip = t.Fatalf
	}
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" || testing.Short() {
		skip("no Chromium here, or -short: pages are looked at in a browser elsewhere (apt-get install chromium)")
	}
	commands, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, events, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
		"--disable-component-update", "--no-first-run", "--hide-scrollbars", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.ExtraFiles = []*os.File{commands, events}
	if err := cmd.Start(); err != nil {
		skip("Chromium does not start: %v", err)
	}
	_, _ = commands.Close(), events.Close()
	b := &Browser{t: t, to: to, answers: map[int]chan json.RawMessage{}}
	read := make(chan struct{})
	go func() {
		defer close(read)
		b.read(from)
	}()
	t.Cleanup(func() {
		b.send("", "Browser.close", nil)
		ended := make(chan struct{})
		go func() {
			_ = cmd.Wait()
			close(ended)
		}()
		select {
		case <-ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			<-ended
		}
		_, _ = to.Close(), from.Close()
		<-read
	})
	target := b.call("", "Target.createTarget", map[string]any{"url": "about:blank"})["targetId"]
	b.session = b.call("", "Target.attachToTarget", map[string]any{"targetId": target, "flatten": true})["sessionId"].(string)
	for _, domain := range []string{"Page", "Runtime", "Network", "Log"} {
		b.Do(domain+".enable", nil)
	}
	return b
}

// read takes what the browser says.
func (b *Browser) read(from io.Reader) {
	r := bufio.NewReaderSize(from, 1<<20)
	for {
		line, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			ID     int             `json:"id"`
			Method string          `json:"method"`
			Result json.RawMessage `json:"result"`
			Error  json.RawMessage `json:"error"`
			Params json.RawMessage `json:"params"`
		}
		if json.Unmarshal(line[:len(line)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		switch {
		case m.ID > 0:
			if c := b.answers[m.ID]; c != nil {
				if m.Error != nil {
					m.Result = json.RawMessage(`{"exceptionDetails":` + string(m.Error) + `}`)
				}
				c <- m.Result
			}
		case m.Method == "Page.javascriptDialogOpening":
			b.dialogs++
		case m.Method == "Network.requestWillBeSent":
			var p struct{ Request struct{ URL string } }
			_ = json.Unmarshal(m.Params, &p)
			b.requests = append(b.requests, p.Request.URL)
		case m.Method == "Runtime.exceptionThrown", m.Method == "Log.entryAdded", m.Method == "Runtime.consoleAPICalled":
			b.complaints = append(b.complaints, m.Method+" "+string(m.Params))
		}
		b.mu.Unlock()
	}
}

func (b *Browser) send(session, method string, params any) chan json.RawMessage {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	c := make(chan json.RawMessage, 1)
	b.answers[b.next] = c
	m := map[string]any{"id": b.next, "method": method}
	if params != nil {
		m["params"] = params
	}
	if session != "" {
		m["sessionId"] = session
	}
	line, err := json.Marshal(m)
	if err == nil {
		_, err = b.to.Write(append(line, 0))
	}
	if err != nil && method != "Browser.close" {
		b.t.Errorf("%s: %v", method, err)
	}
	return c
}

// Do sends the page a command of the protocol and gives its answer.
func (b *Browser) Do(method string, params any) map[string]any {
	b.t.Helper()
	return b.call(b.session, method, params)
}

func (b *Browser) call(session, method string, params any) map[string]any {
	b.t.Helper()
	end := time.After(patience)
	for {
		select {
		case raw := <-b.send(session, method, params):
			// A page that is being left answers nothing; the next one does.
			if method == "Runtime.evaluate" && bytes.Contains(raw, []byte("navigated or closed")) || bytes.Contains(raw, []byte("context was destroyed")) || bytes.Contains(raw, []byte("Cannot find context")) {
				time.Sleep(20 * time.Millisecond)
				continue
			}
			return b.reading(method, params, raw)
		case <-end:
			b.t.Fatalf("%s: no answer", method)
			return nil
		}
	}
}

// reading reads an answer of the browser.
func (b *Browser) reading(method string, params any, raw json.RawMessage) map[string]any {
	b.t.Helper()
	var result map[string]any
	if err := json.Unmarshal(raw, &result); err != nil {
		b.t.Fatalf("%s: %v: %s", method, err, raw)
	}
	if e, ok := result["exceptionDetails"]; ok {
		b.t.Fatalf("%s %v: %v", method, params, e)
	}
	return result
}

// Open goes to a page and waits until that is ready.
func (b *Browser) Open(url string) {
	b.t.Helper()
	b.Do("Page.navigate", map[string]any{"url": "about:blank"})
	b.Do("Page.navigate", map[string]any{"url": url})
	b.Until(`document.readyState === "complete" && location.href !== "about:blank"`)
}

// Eval gives the value of an expression in the page.
func (b *Browser) Eval(expression string) any {
	b.t.Helper()
	r := b.Do("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true})
	inner, _ := r["result"].(map[string]any)
	return inner["value"]
}

// Until waits for a condition in the page.
func (b *Browser) Until(condition string) {
	b.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if b.Eval(condition) == true {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("never: %s; the page says %.300v", condition, b.Eval("document.body.innerText"))
		}
	}
}

// Click clicks where an element is, as a person would.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	at, ok := b.Eval(fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.scrollIntoView({block: "center"}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`, selector)).([]any)
	if !ok {
		b.t.Fatalf("no %s", selector)
	}
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		b.Do("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1})
	}
}

// Enter writes into the element that has the focus.
func (b *Browser) Enter(s string) {
	b.t.Helper()
	b.Do("Input.insertText", map[string]any{"text": s})
}

// Quiet fails if a page complained, or asked for anything but its own.
func (b *Browser) Quiet(own ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		b.t.Errorf("the browser complains: %s", c)
	}
	for _, r := range b.requests {
		ok := r == "about:blank"
		for _, prefix := range own {
			ok = ok || strings.HasPrefix(r, prefix)
		}
		if !ok {
			b.t.Errorf("the page asked for %s", r)
		}
	}
}

// Dialogs is how many dialogs pages have opened.
func (b *Browser) Dialogs() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dialogs
}

// View is a size and a look of the page.
func (b *Browser) View(width, height int, scheme, media string) {
	b.t.Helper()
	b.Do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})
	b.Do("Emulation.setEmulatedMedia", map[string]any{"media": media, "features": []any{map[string]any{"name": "prefers-color-scheme", "value": scheme}}})
}

// Shoot keeps a picture of the page where GNOTHI_SHOTS says, to be looked at.
func (b *Browser) Shoot(name string, whole bool) {
	b.t.Helper()
	dir := os.Getenv("GNOTHI_SHOTS")
	if dir == "" {
		return
	}
	data, _ := b.Do("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": whole})["data"].(string)
	raw, err := base64.StdEncoding.DecodeString(data)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), raw, 0o600)
	}
	if err != nil {
		b.t.Error(err)
	}
}

// Fits fails if the page is wider than the window.
func (b *Browser) Fits(what string) {
	b.t.Helper()
	if wide := b.Eval(`document.documentElement.scrollWidth - document.documentElement.clientWidth`).(float64); wide > 0 {
		b.t.Errorf("%s: the page is %v pixels too wide: %v", what, wide, b.Eval(`[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).slice(0, 8).map(e => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40))`))
	}
}
