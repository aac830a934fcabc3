//go:build unix

package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Password is the one that the server's user has.
const Password = "open-sesame"

// patience is how long a server may take to answer on a slow machine.
const patience = 2 * time.Minute

// Server is a PostgreSQL server.
type Server struct {
	bin, dir string
	as       *syscall.Credential // nil: the user that runs the tests
	options  []string
	log      bytes.Buffer
	cmd      *exec.Cmd
	stdin    io.Closer
	count    atomic.Int64
}

var errMissing = errors.New("PostgreSQL is not installed (apt-get install postgresql)")

// Start gives a server that ends with the test. Options are postgres's own, as
// "fsync=on"; without any it does not care for what a crash of the machine does.
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	s, err := begin(options)
	if errors.Is(err, errMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	return s
}

var shared struct {
	sync.Mutex
	server *Server
	err    error
}

// Shared gives the server that all tests of a package share, whose TestMain is
// [Main].
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = begin(nil)
	}
	if errors.Is(shared.err, errMissing) {
		t.Skip(shared.err)
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}

// Main runs tests and ends the server that they share.
func Main(m *testing.M) int {
	defer func() {
		shared.Lock()
		defer shared.Unlock()
		if shared.server != nil {
			shared.server.end()
		}
	}()
	return m.Run()
}

// begin makes a folder for a server and starts it.
func begin(options []string) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	if len(options) == 0 {
		options = []string{"fsync=off", "synchronous_commit=off", "full_page_writes=off"}
	}
	s := &Server{bin: bin, options: append(options, "listen_addresses=", "shared_buffers=32MB", "max_connections=90")}
	if os.Geteuid() == 0 { // postgres refuses to run as root
		if s.as, err = somebody(); err != nil {
			return nil, err
		}
	}
	// The path of a socket has room for some hundred bytes only.
	if s.dir, err = os.MkdirTemp("", "pg"); err != nil {
		return nil, err
	}
	ready := s.make()
	if ready == nil {
		ready = s.start()
	}
	if ready != nil {
		s.end()
		return nil, fmt.Errorf("%w\n%s", ready, s.log.String())
	}
	return s, nil
}

// programs finds the folder of postgres and initdb: in the path, else where
// Debian puts the newest.
func programs() (string, error) {
	var folders []string
	if path, err := exec.LookPath("initdb"); err == nil {
		folders = append(folders, filepath.Dir(path))
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	for i := len(debian) - 1; i >= 0; i-- {
		folders = append(folders, debian[i])
	}
	for _, dir := range folders {
		missing := false
		for _, name := range []string{"initdb", "postgres"} {
			_, err := exec.LookPath(filepath.Join(dir, name))
			missing = missing || err != nil
		}
		if !missing {
			return dir, nil
		}
	}
	return "", errMissing
}

// somebody is a user without rights.
func somebody() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), name, args...) // it is ended in order
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, &s.log, &s.log
	// A group of its own: the Ctrl-C that ends the tests lets it end in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.as}
	return cmd
}

func (s *Server) make() error {
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(Password), 0o600); err != nil {
		return err
	}
	if s.as != nil {
		if err := errors.Join(os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid)), os.Chown(password, int(s.as.Uid), int(s.as.Gid))); err != nil {
			return err
		}
	}
	return s.command(filepath.Join(s.bin, "initdb"), "-D", filepath.Join(s.dir, "data"), "-U", "gnothi", "-A", "scram-sha-256", "--pwfile", password,
		"-E", "UTF8", "--locale=C", "--no-sync").Run()
}

func (s *Server) start() error {
	args := []string{"-c", `"$@" & pid=$!; read _; kill -INT $pid; wait $pid`, "sh", // it ends when this process does
		filepath.Join(s.bin, "postgres"), "-D", filepath.Join(s.dir, "data"), "-k", s.dir}
	for _, o := range s.options {
		args = append(args, "-c", o)
	}
	s.cmd = s.command("sh", args...)
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return err
	}
	s.stdin = stdin
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := s.do("SELECT 1")
		if err == nil {
			return nil
		}
		if time.Since(begun) > patience {
			return fmt.Errorf("the server does not answer: %w", err)
		}
	}
}

func (s *Server) do(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, statement)
	return errors.Join(err, c.Close(ctx))
}

func (s *Server) url(database string) string {
	return "postgres://gnothi:" + Password + "@/" + database + "?host=" + url.QueryEscape(s.dir)
}

// Database makes an empty database and gives its address.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("d%d", s.count.Add(1))
	if err := s.do("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	return s.url(name)
}

// Stop ends the server; what is in it stays.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	s.stop()
}

// Restart starts it again.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatalf("%v\n%s", err, s.log.String())
	}
}

func (s *Server) stop() {
	if s.cmd == nil {
		return
	}
	_ = s.stdin.Close()
	_ = s.cmd.Wait() // how it ends says nothing
	s.cmd = nil
}

func (s *Server) end() {
	s.stop()
	_ = os.RemoveAll(s.dir) // the system empties the folder of such things anyway
}

// Hidden tells whether a text shows the password.
func Hidden(text string) bool { return !strings.Contains(text, Password) }

// Exec runs a statement in a database, behind the back of who works on it.
func Exec(t *testing.T, address, statement string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if _, err := c.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}
