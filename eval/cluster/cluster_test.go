//go:build unix

package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gnothi/eval"
	"gnothi/eval/cluster"
	"gnothi/internal/pgtest"
	"gnothi/llm"
	"gnothi/llm/openai"
	"gnothi/monitor"
	"gnothi/store"
	"gnothi/store/postgres"
	"gnothi/text"
)

// long is the lease of workers that live, however slow the machine is.
const long = 10 * time.Minute

func TestMain(m *testing.M) {
	if os.Getenv("CLUSTER_WORKER") != "" {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(pgtest.Main(m))
}

type item struct {
	Number int    `json:"number"`
	About  string `json:"about"`
}

type result struct {
	Replies []string `json:"replies"`
}

func (result) Outcome() text.Outcome { return text.Right }

// asks is a study of n items, each asked about twice.
func asks(n int) eval.Study[item, result] {
	return eval.Study[item, result]{
		Name: "asks", About: "asks twice", Needs: "text",
		Items: eval.List(func(eval.Source) ([]item, error) {
			var items []item
			for i := range n {
				items = append(items, item{i, "ünïcode \" and <b>"})
			}
			return items, nil
		}),
		Ask: func(ctx context.Context, s *eval.Session, i item) (result, error) {
			var r result
			for _, which := range []string{"first", "second"} {
				reply, err := s.Aside(ctx, monitor.Aside{Role: which, Text: fmt.Sprintf("%d %s", i.Number, which), MaxTokens: 8})
				if err != nil {
					return r, err
				}
				r.Replies = append(r.Replies, reply.Text)
			}
			return r, nil
		},
		Measure: func(rs []result) []eval.Measure { return []eval.Measure{eval.Share("done", len(rs), len(rs))} },
	}
}

// upstream counts what it is asked; hold, if set, keeps some of it waiting until
// the caller is gone.
type upstream struct {
	*httptest.Server
	mu     sync.Mutex
	asked  map[string]int
	served map[string]int
	hold   func(prompt string) bool
	fail   func(prompt string) int // the status, 0: none
	peers  func(prompt string)
}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{asked: map[string]int{}, served: map[string]int{}}
	u.Server = httptest.NewServer(http.HandlerFunc(u.serve))
	t.Cleanup(u.Close)
	return u
}

// set changes how it behaves.
func (u *upstream) set(change func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change()
}

func (u *upstream) serve(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	var body struct {
		Messages []struct {
			Content string `json:"content"`
		} `json:"messages"`
	}
	if err != nil || json.Unmarshal(raw, &body) != nil || len(body.Messages) == 0 {
		http.Error(w, "bad", http.StatusBadRequest)
		return
	}
	prompt := body.Messages[len(body.Messages)-1].Content
	u.mu.Lock()
	u.asked[prompt]++
	hold, peers, fail := u.hold, u.peers, u.fail
	u.mu.Unlock()
	if fail != nil {
		if status := fail(prompt); status > 0 {
			http.Error(w, `{"error":{"message":"no"}}`, status)
			return
		}
	}
	if peers != nil {
		peers(prompt)
	}
	if hold != nil && hold(prompt) {
		<-r.Context().Done()
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":%q}}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}`, "re "+prompt)
	u.mu.Lock()
	u.served[prompt]++
	u.mu.Unlock()
}

func (u *upstream) counts() (asked map[string]int, sum int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	asked = map[string]int{}
	for k, n := range u.asked {
		asked[k] = n
		sum += n
	}
	return asked, sum
}

// model opens the upstream's model.
func model(base string) llm.Model {
	m, err := openai.New("m", openai.Options{BaseURL: base + "/v1", APIKey: "k"})
	if err != nil {
		panic(err) // the test's own address
	}
	return llm.Metered(m, &llm.Price{Input: 1, Output: 1})
}

func (u *upstream) subject() eval.Subject { return eval.Subject{Model: model(u.URL)} }

var header = eval.Header{Gnothi: "test", Study: "asks", Model: "m", Seed: 3}

func create(t *testing.T, address, name string, n int, pace postgres.Pace) {
	t.Helper()
	if err := cluster.Create(t.Context(), address, name, header, pace, asks(n), eval.Options{Seed: 3}); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, address, name string) *cluster.Run {
	t.Helper()
	r, err := cluster.Open(t.Context(), address, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// eventually waits for a condition on the database.
func eventually(t *testing.T, address, what, condition string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		var ok bool
		if err := c.QueryRow(t.Context(), `SELECT `+condition).Scan(&ok); err != nil {
			t.Fatal(err)
		}
		if ok {
			return
		}
		if time.Since(begun) > 5*time.Minute {
			t.Fatalf("not in five minutes: %s", what)
		}
	}
}

// checkAll sees that every item of n has its record and was asked about as often
// as twice says.
func checkAll(t *testing.T, r *cluster.Run, report *eval.Report, n int) {
	t.Helper()
	if report == nil || report.Outcomes.Right != n || report.N != n || report.Outcomes.Failed != 0 {
		t.Fatalf("report %+v, want %d right", report, n)
	}
	i := 0
	for rec, err := range r.Records(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`{"replies":["re %d first","re %d second"]}`, i, i)
		if rec.Index != i || string(rec.Result) != want || rec.Spend.Calls != 2 || string(rec.Item) != fmt.Sprintf(`{"number":%d,"about":"ünïcode \" and \u003cb\u003e"}`, i) {
			t.Fatalf("record %d: %+v %s %s", i, rec, rec.Item, rec.Result)
		}
		i++
	}
	if i != n {
		t.Fatalf("%d records of %d", i, n)
	}
}

// Two workers share a run: every question is asked once, by one of them, and
// both take part.
func TestTwoWorkers(t *testing.T) {
	const n = 60
	address := pgtest.Shared(t).Database(t)
	u := newUpstream(t)
	create(t, address, "two", n, postgres.Pace{})
	// No reply before both have asked.
	first, second := make(chan struct{}), make(chan struct{})
	var ones, twos sync.Once
	handler := func(own *sync.Once, mine, other chan struct{}) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			own.Do(func() { close(mine) })
			<-other
			u.serve(w, r)
		})
	}
	a, b := httptest.NewServer(handler(&ones, first, second)), httptest.NewServer(handler(&twos, second, first))
	defer a.Close()
	defer b.Close()
	var wg sync.WaitGroup
	for _, base := range []string{a.URL, b.URL} {
		r := open(t, address, "two")
		wg.Go(func() {
			report, err := r.Work(t.Context(), asks(n), eval.Subject{Model: model(base)}, eval.Options{Seed: 3, Concurrency: 4}, long)
			if err != nil || report.Outcomes.Right != n {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
	wg.Wait()
	asked, sum := u.counts()
	if len(asked) != 2*n || sum != 2*n {
		t.Errorf("%d questions asked %d times, want %d each once", len(asked), sum, 2*n)
	}
	r := open(t, address, "two")
	report, err := r.Report(t.Context(), asks(n))
	if err != nil {
		t.Fatal(err)
	}
	checkAll(t, r, report, n)
	// The report is that of a run in one process.
	alone, err := eval.Run(t.Context(), asks(n), u.subject(), eval.Options{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	alone.Model = header.Model
	want, _ := json.Marshal(alone)
	if got, _ := json.Marshal(report); string(got) != string(want) {
		t.Errorf("shared\n%s\nalone\n%s", got, want)
	}
}

// child is a worker in a process of its own.
func child() error {
	r, err := cluster.Open(context.Background(), os.Getenv("CLUSTER_WORKER"), os.Getenv("CLUSTER_RUN"))
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = r.Work(context.Background(), asks(r.Header.Items), eval.Subject{Model: model(os.Getenv("CLUSTER_UPSTREAM"))}, eval.Options{Seed: 3, Concurrency: 8}, long)
	return err
}

// A worker that is killed loses what it had in hand once its lease is over, and
// nothing that was durable is asked again.
func TestKilledWorker(t *testing.T) {
	const n = 30
	address := pgtest.Shared(t).Database(t)
	u := newUpstream(t)
	u.hold = func(prompt string) bool { return strings.HasSuffix(prompt, "second") }
	create(t, address, "killed", n, postgres.Pace{Ceiling: postgres.Cost{Calls: 1000}})

	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), "CLUSTER_WORKER="+address, "CLUSTER_RUN=killed", "CLUSTER_UPSTREAM="+u.URL)
	victim.Stderr = os.Stderr
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer victim.Wait()
	defer victim.Process.Kill() // again, if the test ends before
	eventually(t, address, "eight first calls are durable", `COUNT(*) >= 8 FROM gnothi.call`)
	eventually(t, address, "what is in flight is reserved", `(SELECT reserved[1] FROM gnothi.worker) >= 8`)
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait()
	before, _ := u.counts()
	durable := map[int]bool{}
	look := open(t, address, "killed")
	for i := range n {
		calls, err := look.Calls(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		durable[i] = len(calls) > 0
	}
	u.set(func() { u.hold = nil })
	// The survivor is there while the lease runs; then the lease turns out short.
	r := open(t, address, "killed")
	done := make(chan struct{})
	var report *eval.Report
	var err error
	go func() {
		defer close(done)
		report, err = r.Work(t.Context(), asks(n), u.subject(), eval.Options{Seed: 3, Concurrency: 8}, long)
	}()
	eventually(t, address, "the survivor has done what was left", fmt.Sprintf(`(SELECT COUNT(*) FROM gnothi.item) = %d - (SELECT COUNT(*) FROM gnothi.river_job WHERE state = 'running') AND
		(SELECT COUNT(*) FROM gnothi.river_job WHERE state = 'available') = 0`, n))
	select {
	case <-done:
		t.Fatal("the survivor is through though the lease is not over")
	default:
	}
	pgtest.Exec(t, address, `UPDATE gnothi.worker SET lease = '1 second' WHERE reserved[1] >= 8 AND ended IS NULL`)
	<-done
	if err != nil {
		t.Fatal(err)
	}
	checkAll(t, r, report, n)
	again, _ := u.counts()
	held := 0
	for i := range n {
		first, second := fmt.Sprintf("%d first", i), fmt.Sprintf("%d second", i)
		if durable[i] && again[first] != 1 {
			t.Errorf("item %d: the durable first call was made %d times", i, again[first])
		}
		if again[first] > before[first]+1 || again[second] > before[second]+1 || again[second] > 2 {
			t.Errorf("item %d: asked %d, %d times, %d and %d before", i, again[first], again[second], before[first], before[second])
		}
		held += before[second]
	}
	if held < 8 {
		t.Errorf("%d calls were in flight when the worker was killed, want 8", held)
	}
	// Reservations of the dead are free; its calls were not settled.
	eventually(t, address, "nothing is reserved", `COALESCE(SUM(reserved[1]), 0) = 0 FROM gnothi.worker`)
}

// A budget holds over workers to the call, whoever comes later goes on with it,
// and a higher one lets the rest be asked.
func TestBudgetOfTwo(t *testing.T) {
	const n, ceiling = 40, 25
	address := pgtest.Shared(t).Database(t)
	u := newUpstream(t)
	create(t, address, "budget", n, postgres.Pace{Ceiling: postgres.Cost{Calls: ceiling}})
	both := func() (reports [2]*eval.Report) {
		var wg sync.WaitGroup
		for i := range reports {
			r := open(t, address, "budget")
			wg.Go(func() {
				var err error
				reports[i], err = r.Work(t.Context(), asks(n), u.subject(), eval.Options{Seed: 3, Concurrency: 6}, long)
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		return reports
	}
	reports := both()
	if _, sum := u.counts(); sum != ceiling {
		t.Errorf("%d calls, the budget is of %d", sum, ceiling)
	}
	if o := reports[0].Outcomes; o.Failed != 0 || o.Unasked == 0 || o.Right > ceiling/2 || o.Right+o.Unasked != n {
		t.Errorf("%+v", o)
	}
	both() // nothing is left to spend
	if _, sum := u.counts(); sum != ceiling {
		t.Errorf("%d calls after a second go, the budget is of %d", sum, ceiling)
	}
	r := open(t, address, "budget")
	if err := r.SetPace(t.Context(), func(p *postgres.Pace) { p.Ceiling.Calls = 1000 }); err != nil {
		t.Fatal(err)
	}
	if reopened, err := r.Reopen(t.Context()); err != nil || int(reopened) != reports[0].Outcomes.Unasked {
		t.Errorf("%d reopened, %v", reopened, err)
	}
	checkAll(t, open(t, address, "budget"), both()[1], n)
	if asked, sum := u.counts(); len(asked) != 2*n || sum != 2*n {
		t.Errorf("%d questions asked %d times, want %d each once", len(asked), sum, 2*n)
	}
}

// Stopped once, a worker ends the calls under way and gives the rest back at
// once: another one need not wait for the lease.
func TestStop(t *testing.T) {
	const n = 40
	address := pgtest.Shared(t).Database(t)
	u := newUpstream(t)
	create(t, address, "stop", n, postgres.Pace{})
	stop := make(chan struct{})
	var once sync.Once
	u.peers = func(string) { once.Do(func() { close(stop) }) }
	r := open(t, address, "stop")
	report, err := r.Work(t.Context(), asks(n), u.subject(), eval.Options{Seed: 3, Concurrency: 4, Stop: stop}, long)
	if !errors.Is(err, llm.ErrStopped) || report == nil || report.Outcomes.Failed != 0 || report.Outcomes.Unasked == 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	u.set(func() { u.peers = nil })
	r = open(t, address, "stop")
	report, err = r.Work(t.Context(), asks(n), u.subject(), eval.Options{Seed: 3, Concurrency: 4}, long)
	if err != nil {
		t.Fatal(err)
	}
	checkAll(t, r, report, n)
	if asked, sum := u.counts(); len(asked) != 2*n || sum != 2*n {
		t.Errorf("%d questions asked %d times, want %d each once", len(asked), sum, 2*n)
	}
}

// When the database goes away, workers say so once their lease is over; when it
// is back the run goes on.
func TestDatabaseGoesAway(t *testing.T) {
	const n = 40
	server := pgtest.Start(t)
	address := server.Database(t)
	u := newUpstream(t)
	create(t, address, "away", n, postgres.Pace{})
	var once sync.Once
	some := make(chan struct{})
	u.peers = func(prompt string) {
		if strings.HasSuffix(prompt, "second") {
			once.Do(func() { close(some) })
		}
	}
	r := open(t, address, "away")
	done := make(chan error, 1)
	go func() {
		_, err := r.Work(t.Context(), asks(n), u.subject(), eval.Options{Seed: 3, Concurrency: 2}, 3*time.Second)
		done <- errors.Join(err, r.Close())
	}()
	<-some
	server.Stop(t)
	err := <-done
	if err == nil || !strings.Contains(err.Error(), "resume") || !strings.Contains(err.Error(), "run postgres://") || !pgtest.Hidden(err.Error()) {
		t.Errorf("got %v", err)
	}
	server.Restart(t)
	durable := map[string]bool{}
	r = open(t, address, "away")
	for i := range n {
		calls, err := r.Calls(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range calls {
			durable[c.Prompt] = true
		}
	}
	before, _ := u.counts()
	report, err := r.Work(t.Context(), asks(n), u.subject(), eval.Options{Seed: 3, Concurrency: 4}, long)
	if err != nil {
		t.Fatal(err)
	}
	checkAll(t, r, report, n)
	after, _ := u.counts()
	for prompt := range durable {
		if after[prompt] != before[prompt] {
			t.Errorf("%q was durable and is asked again", prompt)
		}
	}
}

// Items that always fail have failed, after a second try; a model that is gone
// ends a worker, and nothing has failed for it.
func TestNoModel(t *testing.T) {
	const n = 60
	address := pgtest.Shared(t).Database(t)
	u := newUpstream(t)
	create(t, address, "fail", n, postgres.Pace{})
	u.fail = func(prompt string) int {
		if strings.HasPrefix(prompt, "7 ") || strings.HasPrefix(prompt, "8 ") || strings.HasPrefix(prompt, "59 second") {
			return http.StatusServiceUnavailable
		}
		return 0
	}
	report, err := open(t, address, "fail").Work(t.Context(), asks(n), u.subject(), eval.Options{Seed: 3, Concurrency: 4}, long)
	if err != nil || report.Outcomes.Failed != 3 || report.Outcomes.Right != n-3 {
		t.Errorf("%+v, %v", report, err)
	}
	if asked, _ := u.counts(); asked["7 first"] != 2 || asked["59 first"] != 1 || asked["59 second"] != 2 || asked["9 first"] != 1 {
		t.Errorf("asked %v", asked)
	}

	create(t, address, "gone", n, postgres.Pace{})
	u.set(func() { u.fail = func(string) int { return http.StatusNotFound } })
	report, err = open(t, address, "gone").Work(t.Context(), asks(n), u.subject(), eval.Options{Seed: 3, Concurrency: 4}, long)
	if !errors.Is(err, eval.ErrNoModel) || report == nil || report.Outcomes.Unasked != n {
		t.Errorf("%+v, %v", report, err)
	}
	u.set(func() { u.fail = nil })
	r := open(t, address, "gone")
	if report, err = r.Work(t.Context(), asks(n), u.subject(), eval.Options{Seed: 3, Concurrency: 4}, long); err != nil {
		t.Fatal(err)
	}
	checkAll(t, r, report, n)
}

func TestBadInput(t *testing.T) {
	address := pgtest.Shared(t).Database(t)
	if _, err := cluster.Open(t.Context(), address, "none"); !errors.Is(err, store.ErrNoRun) {
		t.Errorf("no run: %v", err)
	}
	create(t, address, "one", 3, postgres.Pace{})
	err := cluster.Create(t.Context(), address, "one", header, postgres.Pace{}, asks(3), eval.Options{Seed: 3})
	if !errors.Is(err, postgres.ErrExists) || !strings.Contains(err.Error(), "#one: ") {
		t.Errorf("a second run of the name: %v", err)
	}
	if name, err := cluster.Free(t.Context(), address, "one"); err != nil || name != "one-1" {
		t.Errorf("free: %q, %v", name, err)
	}
	r := open(t, address, "one")
	if err := r.Check(asks(4), eval.Options{Seed: 3}); !errors.Is(err, eval.ErrChanged) {
		t.Errorf("another suite: %v", err)
	}
	if err := r.Check(asks(3), eval.Options{Seed: 3}); err != nil {
		t.Error(err)
	}
	if err := r.Add(eval.Record{}, func() {}); err == nil {
		t.Error("a run that is only looked at can be written")
	}
	if err := cluster.Create(t.Context(), address, "empty", header, postgres.Pace{}, asks(0), eval.Options{}); err == nil {
		t.Error("a run of nothing")
	}
	if _, err := cluster.Open(t.Context(), address, "empty"); !errors.Is(err, store.ErrNoRun) {
		t.Errorf("a run that could not be made is there: %v", err)
	}
	for _, bad := range []string{
		strings.Replace(address, pgtest.Password, "wrong-"+pgtest.Password, 1),
		strings.Replace(address, pgtest.Password, pgtest.Password+"%zz", 1),
		"postgres://gnothi:" + pgtest.Password + "@127.0.0.1:1/x?connect_timeout=5",
		"postgres://gnothi:" + pgtest.Password + "@[x/y",
		"mysql://gnothi:" + pgtest.Password + "@host/x",
	} {
		_, err := cluster.Open(t.Context(), bad, "one")
		if err == nil || !pgtest.Hidden(err.Error()) {
			t.Errorf("%s: %v", bad, err)
		}
		t.Log(err)
	}
}
