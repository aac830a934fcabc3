package page_test

import (
	"io"
	"net/http/httptest"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"gnothi/eval"
	"gnothi/eval/page"
	"gnothi/internal/chromium"
)

// big is a run of 200,000 items, made once: GNOTHI_BIG_RUN is where it is kept
// between benchmarks.
func big(b *testing.B) *eval.Folder {
	const n = 200_000
	dir := os.Getenv("GNOTHI_BIG_RUN")
	if dir == "" {
		b.Skip("set GNOTHI_BIG_RUN to a folder for a run of 200,000 items (200 MB)")
	}
	if _, err := os.Stat(dir); err != nil {
		if err := os.CopyFS(dir, os.DirFS(made(b, n, ordinaries(n)))); err != nil {
			b.Fatal(err)
		}
	}
	return open(b, dir)
}

// peak watches how much is held while f runs.
func peak(b *testing.B, f func()) {
	var most atomic.Uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most.Store(max(most.Load(), m.Sys-m.HeapReleased))
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	f()
	close(stop)
	<-stopped
	b.ReportMetric(float64(most.Load())/(1<<20), "peak-MB")
}

func BenchmarkReport200000(b *testing.B) {
	f := big(b)
	peak(b, func() {
		for b.Loop() {
			report, err := f.Report(b.Context(), suite())
			if err != nil {
				b.Fatal(err)
			}
			if err := page.Write(b.Context(), io.Discard, f, suite(), report, page.Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkExplorer200000(b *testing.B) {
	for _, url := range []string{"/items?q=", "/items?q=zzz", "/items?q=riddle+77", "/items?s=-c", "/items?s=-t&o=wrong&p=90", "/items/123456", "/progress.json"} {
		b.Run(url, func(b *testing.B) {
			f := big(b)
			peak(b, func() {
				for b.Loop() {
					b.StopTimer()
					e, err := page.New(f, suite())
					if err != nil {
						b.Fatal(err)
					}
					e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/items", nil))
					b.StartTimer()
					w := httptest.NewRecorder()
					e.ServeHTTP(w, httptest.NewRequest("GET", url, nil))
					if w.Code != 200 {
						b.Fatalf("%d %s", w.Code, w.Body)
					}
				}
			})
		})
	}
}

// BenchmarkFirstPaint5000 opens a report with 5,000 items in a browser: how long
// until something is seen, and until all items can be searched.
func BenchmarkFirstPaint5000(b *testing.B) {
	const n = 5000
	path := written(b, open(b, made(b, n, ordinaries(n))), page.Options{})
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	browser := chromium.New(b)
	browser.View(1100, 900, "light", "")
	paint, ready, rounds := 0.0, 0.0, 0
	for b.Loop() {
		browser.Open("file://" + path)
		browser.Until(`document.documentElement.dataset.ready === "5000" && performance.getEntriesByType("paint").length > 0`)
		paint += browser.Eval(`performance.getEntriesByName("first-contentful-paint")[0].startTime`).(float64)
		ready += browser.Eval(`performance.getEntriesByName("ready")[0].startTime`).(float64)
		rounds++
	}
	b.ReportMetric(paint/float64(rounds), "paint-ms")
	b.ReportMetric(ready/float64(rounds), "ready-ms")
	b.ReportMetric(float64(info.Size())/(1<<20), "file-MB")
}
