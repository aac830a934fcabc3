package models

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// httpSource is a URL. It goes on with the partial file of an earlier pull,
// from whatever URL that came: the SHA-256 at the end decides, not the server.
type httpSource struct{ url *url.URL }

func (h httpSource) String() string { return h.url.Redacted() }

var (
	errSilent = errors.New("silent")
	// errCut says that a body ended early; what came is kept.
	errCut = errors.New("connection cut")
	// errStale says that the partial file is of no use to this server and is gone.
	errStale = errors.New("partial file out of date")
)

// A version is what a server says about the content behind a URL.
type version struct {
	URL string `json:"url"`
	Tag string `json:"tag"` // strong ETag, else Last-Modified, else ""
}

func (h httpSource) version(header http.Header) version {
	tag := header.Get("ETag")
	if tag == "" || strings.HasPrefix(tag, "W/") {
		tag = header.Get("Last-Modified")
	}
	return version{h.String(), tag}
}

func (h httpSource) fetch(ctx context.Context, j *job) (string, int64, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	var moved, furthest int64
	for stale := false; ; {
		n, end, err := h.once(ctx, j, transport)
		moved += n
		switch {
		case err == nil:
			return j.path + partSuffix, moved, nil
		case errors.Is(err, errStale) && !stale:
			stale, furthest = true, 0
		case errors.Is(err, errCut) && end > furthest: // as long as each connection gets further
			furthest = end
		default:
			if fi, serr := os.Stat(j.path + partSuffix); serr == nil && fi.Mode().IsRegular() && fi.Size() == 0 {
				_ = os.Remove(j.path + partSuffix) // nothing to go on with
			}
			return "", moved, err
		}
	}
}

// once makes one request and appends its body to the partial file. It returns
// the bytes moved and the partial file's length afterwards.
func (h httpSource) once(ctx context.Context, j *job, transport http.RoundTripper) (moved, end int64, err error) {
	f, err := os.OpenFile(j.path+partSuffix, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return 0, 0, diskError{err}
	}
	defer func() {
		if cerr := f.Close(); err == nil && cerr != nil {
			err = diskError{cerr}
		}
	}()
	fi, err := f.Stat()
	if err != nil {
		return 0, 0, diskError{err}
	}
	at, size := fi.Size(), j.model.Size
	if at == size {
		return 0, at, nil // complete, but the last pull died before it could check
	}
	restart := func() error {
		at = 0
		if err := errors.Join(f.Truncate(0), os.RemoveAll(j.path+etagSuffix)); err != nil {
			return diskError{err}
		}
		return nil
	}
	if at > size {
		if err := restart(); err != nil {
			return 0, 0, err
		}
	}

	// One timer watches over everything a server can be slow in: the name, the
	// connection, redirects, the first byte and every later one.
	watched, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(j.store.Timeout, func() { cancel(errSilent) })
	defer timer.Stop()
	reason := func(err error) error {
		if errors.Is(context.Cause(watched), errSilent) {
			return fmt.Errorf("no answer within %v", j.store.Timeout)
		}
		if e := (*url.Error)(nil); errors.As(err, &e) {
			return e.Err // the URL is named already
		}
		return err
	}

	req, err := http.NewRequestWithContext(watched, http.MethodGet, h.url.String(), nil)
	if err != nil {
		return 0, at, err
	}
	req.Header.Set("User-Agent", "gnothi")
	req.Header.Set("Accept-Encoding", "identity") // offsets count the file's own bytes
	var had version
	if at > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", at))
		if err := readJSON(j.path+etagSuffix, &had); err == nil && had.URL == h.String() && had.Tag != "" {
			req.Header.Set("If-Range", had.Tag)
		}
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		timer.Reset(j.store.Timeout)
		if len(via) >= 10 {
			return errors.New("more than 10 redirects")
		}
		return nil
	}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, at, reason(err)
	}
	defer resp.Body.Close()

	now := h.version(resp.Header)
	switch resp.StatusCode {
	case http.StatusOK: // from the start: nothing was asked, ranges are not served, or the content changed
		if n := resp.ContentLength; n >= 0 && n != size {
			return 0, at, sizeMismatch(j.model, n)
		}
		if err := restart(); err != nil {
			return 0, at, err
		}
		if err := writeJSON(j.path+etagSuffix, now); err != nil {
			return 0, at, diskError{err}
		}
	case http.StatusPartialContent:
		from, total, err := contentRange(resp.Header.Get("Content-Range"))
		if err == nil && total != size && total >= 0 {
			return 0, at, sizeMismatch(j.model, total)
		}
		if err == nil && had.URL == now.URL && had.Tag != now.Tag {
			err = errStale // a server that does not heed If-Range
		}
		if err == nil && (at == 0 || from != at) {
			err = fmt.Errorf("%w: answered with bytes from %d, asked for %d", errStale, from, at)
		}
		if errors.Is(err, errStale) {
			err = errors.Join(err, restart())
		}
		if err != nil {
			return 0, at, err
		}
	case http.StatusRequestedRangeNotSatisfiable:
		return 0, at, errors.Join(fmt.Errorf("%w: HTTP 416", errStale), restart())
	default:
		return 0, at, fmt.Errorf("HTTP %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}

	if _, err := f.Seek(at, io.SeekStart); err != nil {
		return 0, at, diskError{err}
	}
	j.progress(at, size, h.String())
	body := io.LimitReader(wakeful{resp.Body, timer, j.store.Timeout}, size-at+1)
	moved, err = copyAll(ctx, f, body, func(done int64) { j.progress(min(at+done, size), size, h.String()) })
	end = at + moved
	switch {
	case err != nil && (ctx.Err() != nil || errors.Is(context.Cause(watched), errSilent) || errors.As(err, new(diskError))):
		return moved, end, reason(err)
	case err != nil || end < size:
		return moved, end, fmt.Errorf("%w after %d of %d bytes", errCut, end, size)
	}
	return moved, end, nil // a byte too many is refused where the file is checked
}

// wakeful runs the timer only while a read waits for the network, not while
// the disk is slow.
type wakeful struct {
	r     io.Reader
	timer *time.Timer
	limit time.Duration
}

func (w wakeful) Read(p []byte) (int, error) {
	w.timer.Reset(w.limit)
	defer w.timer.Stop()
	return w.r.Read(p)
}

// contentRange parses "bytes FROM-TO/TOTAL"; total is -1 when the server does
// not say ("*").
func contentRange(s string) (from, total int64, err error) {
	var to int64
	if _, err = fmt.Sscanf(s, "bytes %d-%d/%d", &from, &to, &total); err != nil {
		total = -1
		_, err = fmt.Sscanf(s, "bytes %d-%d/*", &from, &to)
	}
	if err != nil || from < 0 || to < from || (total >= 0 && to >= total) || total < -1 {
		return 0, 0, fmt.Errorf("bad Content-Range %.60q", s)
	}
	return from, total, nil
}
