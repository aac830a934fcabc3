//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package gguf

import "golang.org/x/sys/unix"

func release(b []byte) error { return unix.Madvise(b, unix.MADV_DONTNEED) }
