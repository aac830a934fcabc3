package engine

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// Matrix holds the states of a text at a site: Rows positions of Cols numbers each.
type Matrix struct {
	Site
	Rows, Cols int
	Data       []float32 // row-major
}

// Row is the state at the i-th traced position.
func (m *Matrix) Row(i int) []float32 { return m.Data[i*m.Cols:][:m.Cols] }

// Trace returns the hidden states of all of ids after parent, one matrix of len(ids) rows for each
// site. It takes 4·len(ids)·width bytes a site; see TraceTo for long texts and many sites.
func (e *Engine) Trace(ctx context.Context, parent *Prefix, ids []int32, sites ...Site) ([]Matrix, error) {
	out := make([]Matrix, len(sites))
	err := e.trace(ctx, parent, ids, sites, func(site, row int, x []float32) error {
		copy(out[site].Row(row), x)
		return nil
	}, func(site, cols int) error {
		out[site] = Matrix{Site: sites[site], Rows: len(ids), Cols: cols, Data: make([]float32, len(ids)*cols)}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// TraceFile is a matrix on disk.
type TraceFile struct {
	Site
	Rows, Cols int
	Path       string
}

// TraceTo is Trace that writes each matrix, as it comes, to a NumPy file (.npy, format 1.0, float32
// little-endian, in C order) in the directory dir, which must exist. The files are named after layer and
// point: "07.resid_post.npy", "final_norm.npy". If it fails, it leaves none of them behind.
func (e *Engine) TraceTo(ctx context.Context, dir string, parent *Prefix, ids []int32, sites ...Site) ([]TraceFile, error) {
	files := make([]TraceFile, len(sites))
	open := make([]*npy, 0, len(sites))
	err := e.trace(ctx, parent, ids, sites, func(site, _ int, x []float32) error {
		return open[site].row(x)
	}, func(site, cols int) error {
		s := sites[site]
		name := s.Point.String() + ".npy"
		if s.Point.perLayer() {
			name = fmt.Sprintf("%02d.%s", s.Layer, name)
		}
		files[site] = TraceFile{Site: s, Rows: len(ids), Cols: cols, Path: filepath.Join(dir, name)}
		w, err := newNPY(files[site].Path, len(ids), cols)
		if err == nil {
			open = append(open, w)
		}
		return err
	})
	for _, w := range open {
		err = errors.Join(err, w.close())
	}
	if err != nil {
		for _, w := range open {
			_ = os.Remove(w.file.Name())
		}
		return nil, fmt.Errorf("engine: trace: %w", err)
	}
	return files, nil
}

// trace begins each site and gives it the rows in order.
func (e *Engine) trace(ctx context.Context, parent *Prefix, ids []int32, sites []Site, row func(site, row int, x []float32) error, begin func(site, cols int) error) error {
	if len(ids) == 0 {
		return errors.New("engine: a trace needs a token: ids is empty")
	}
	start := parent.Len()
	hooks := make([]Hook, len(sites))
	for i, s := range sites {
		hooks[i] = Hook{Point: s.Point, Layers: []int{s.Layer}, From: start, Do: func(at At, x []float32) error { return row(i, at.Position-start, x) }}
	}
	if _, err := e.hook(hooks); err != nil {
		return err // before anything is begun
	}
	if _, err := e.begin(parent, ids); err != nil {
		return err
	}
	for i, s := range sites {
		cols, _ := e.width(s.Point)
		if err := begin(i, cols); err != nil {
			return err
		}
	}
	_, err := e.Prefill(ctx, parent, ids, hooks...)
	return err
}

// npy writes a NumPy file row by row.
type npy struct {
	file *os.File
	buf  *bufio.Writer
	raw  []byte
}

func newNPY(path string, rows, cols int) (*npy, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	w := &npy{file: f, buf: bufio.NewWriterSize(f, 1<<15)}
	// A failed write is remembered by the buffer and told at the next.
	_, _ = io.WriteString(w.buf, npyHeader(rows, cols))
	return w, nil
}

// npyHeader is the magic, version 1.0, the header's length and a Python dictionary, padded so that
// the numbers begin at a multiple of 64.
func npyHeader(rows, cols int) string {
	const fixed = 10
	d := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", rows, cols)
	d += strings.Repeat(" ", 63-(fixed+len(d))%64) + "\n"
	return "\x93NUMPY\x01\x00" + string(binary.LittleEndian.AppendUint16(nil, uint16(len(d)))) + d
}

func (w *npy) row(x []float32) error {
	w.raw = w.raw[:0]
	for _, v := range x {
		w.raw = binary.LittleEndian.AppendUint32(w.raw, math.Float32bits(v))
	}
	_, err := w.buf.Write(w.raw)
	return err
}

func (w *npy) close() error { return errors.Join(w.buf.Flush(), w.file.Close()) }
