package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gnothi/gateway"
)

// tlsFlags name the certificate of the server.
type tlsFlags struct{ cert, key string }

func (t *tlsFlags) add(f *pflag.FlagSet) {
	f.StringVar(&t.cert, "tls-cert", "", "file of the certificate, PEM: serve https; read again with the configuration, on SIGHUP")
	f.StringVar(&t.key, "tls-key", "", "file of the certificate's key, PEM")
}

// listener speaks TLS if there is a certificate.
func (t *tlsFlags) listener(inner net.Listener) (net.Listener, *gateway.TLS, error) {
	if t.cert == "" && t.key == "" {
		return inner, nil, nil
	}
	if t.cert == "" || t.key == "" {
		return nil, nil, usagef("--tls-cert and --tls-key go together")
	}
	loaded, err := gateway.LoadTLS(t.cert, t.key)
	if err != nil {
		return nil, nil, err
	}
	return loaded.Listener(inner), loaded, nil
}

// reloads reads the configuration again on SIGHUP and puts it in force. What cannot
// be used is told and changes nothing.
type reloads struct {
	cmd     *cobra.Command
	first   gateway.Options // what outlives the configuration is in it
	serving *gateway.Switch
	tls     *gateway.TLS
	address net.Addr
	log     *slog.Logger

	close   func() error // of the model in force
	waiting sync.WaitGroup
}

// until follows signals until ctx ends.
func (r *reloads) until(ctx context.Context) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	defer signal.Stop(signals)
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
		}
		if err := r.once(ctx); err != nil {
			r.log.Error("reload: the configuration stays as it was", "error", err.Error())
			continue
		}
		g := r.serving.Gateway()
		r.log.Info("reload: the new configuration is in force", "model", g.Name, "policy", g.Policy)
	}
}

// once reads and replaces. Requests in flight end on the gateway that they began
// on, whose model is then closed.
func (r *reloads) once(ctx context.Context) error {
	if r.tls != nil {
		if err := r.tls.Reload(); err != nil {
			return err
		}
	}
	c, err := loadConfig(r.cmd.Flags())
	if err != nil {
		return err
	}
	o, err := c.gateway()
	if err != nil {
		return err
	}
	limits, err := c.guarded(r.cmd, &o)
	if err != nil {
		return err
	}
	if at, ok := r.address.(*net.TCPAddr); ok && !at.IP.IsLoopback() && o.APIKey == "" && !o.Guarded() {
		return fmt.Errorf("%s: %w", at, gateway.ErrOpen)
	}
	f := r.first
	o.Timeout, o.Log, o.Metrics, o.Tracer, o.TraceContent = f.Timeout, f.Log, f.Metrics, f.Tracer, f.TraceContent
	o.Trials, o.Watch, o.Audit, o.Runs, o.Books, o.Guards, o.Feedback = f.Trials, f.Watch, f.Audit, f.Runs, f.Books, f.Guards, f.Feedback
	mode, err := c.cacheMode()
	if err != nil {
		return err
	}
	if mode != cacheNone {
		o.Cache, o.CacheAll = f.Cache, mode == cacheOn
	}
	closeModel, err := c.openServed(ctx, r.cmd, limits, &o)
	if err != nil {
		return err
	}
	g, err := gateway.New(o)
	if err != nil {
		return errors.Join(err, closeModel())
	}
	wait, closeOld := r.serving.Set(g), r.close
	r.close = closeModel
	r.waiting.Go(func() {
		wait()
		if err := closeOld(); err != nil {
			r.log.Error("closing the model before", "error", err.Error())
		}
	})
	return nil
}

// serve answers until ctx ends, and closes the models.
func (r *reloads) serve(ctx context.Context, listener net.Listener) error {
	watching, stop := context.WithCancel(ctx)
	r.waiting.Go(func() { r.until(watching) })
	err := gateway.Serve(ctx, listener, r.serving, r.log)
	stop()
	r.waiting.Wait()
	return errors.Join(err, r.close())
}

// secretOf says whether somebody has to show a key, as [gateway.Listen] wants to know.
func secretOf(o gateway.Options) string {
	if o.Guarded() {
		return cmp.Or(o.APIKey, "that of a client")
	}
	return o.APIKey
}
