package models

import (
	"context"
	"fmt"
	"os"
	"time"
)

// lock takes the exclusive lock on the file, waiting for its holder until ctx
// ends; waiting, if given, is called on every look. The lock dies with the
// process that holds it, so a crash locks nobody out. The file stays: removing
// it would let two holders lock two files of one name.
func lock(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		ok, err := tryLock(f)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("cannot lock %s: %w", path, err)
		}
		if ok {
			return func() { f.Close() }, nil
		}
		if waiting != nil {
			waiting()
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("another process holds %s: %w", path, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
