package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gofrs/flock"
)

// state is the folder in which a server keeps what it remembers; without one it
// keeps nothing on disk.
type state struct {
	dir  string
	lock *flock.Flock
}

// noState is what --state is given to keep nothing on disk.
const noState = "none"

// stateDir is the folder of the server that listens at an address; empty is none.
func stateDir(flag, address string) (string, error) {
	switch flag {
	case noState:
		return "", nil
	case "":
	default:
		return flag, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "0" || port == "" {
		return "", nil //nolint:nilerr // listening tells what is wrong with an address
	}
	root, err := stateHome()
	if err != nil {
		return "", fmt.Errorf("no folder for what serve keeps: %w: name one with --state, or --state none", err)
	}
	if host == "" {
		host = "any"
	}
	name := strings.NewReplacer(":", "-", "%", "-", "/", "-").Replace(host) + "_" + port
	return filepath.Join(root, "gnothi", "serve", name), nil
}

// stateHome is where programs of this user keep their state.
func stateHome() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return dir, nil
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return os.UserConfigDir()
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "state"), err
}

// openState makes the folder, if there is to be one, and locks it.
func openState(dir string) (*state, error) {
	s := &state{dir: dir}
	if dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	file := filepath.Join(dir, "lock")
	s.lock = flock.New(file, flock.SetPermissions(0o600))
	switch ok, err := s.lock.TryLock(); {
	case err != nil && errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("state %s: it cannot be written to: name another with --state, or --state none: %w", dir, err)
	case err != nil:
		return nil, fmt.Errorf("state %s: %w", dir, err)
	case !ok:
		return nil, fmt.Errorf("state %s: another server keeps its state there: stop it, or name another folder with --state", dir)
	}
	return s, nil
}

// file is the path of a file of the state, empty if nothing is kept on disk.
func (s *state) file(name string) string {
	if s.dir == "" {
		return ""
	}
	return filepath.Join(s.dir, name)
}

// Close lets another server use the folder.
func (s *state) Close() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Unlock()
}
