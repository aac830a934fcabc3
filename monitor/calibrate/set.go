package calibrate

import (
	"crypto/sha256"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Set holds calibrators by what they are for, and priors in order of preference.
// The zero Set is empty.
type Set struct {
	calibrators map[Key]*Calibrator
	priors      []*Prior
	withdrawn   map[Key]string // why they hold no more
}

//go:embed data
var shipped embed.FS

// Shipped gives the calibrators and priors that come with gnothi.
func Shipped() (*Set, error) {
	sub, err := fs.Sub(shipped, "data")
	if err != nil {
		return nil, err
	}
	return Load(sub)
}

// Load reads a folder of calibrators (*.json) and priors (priors.json).
func Load(dir fs.FS) (*Set, error) {
	s := &Set{calibrators: map[Key]*Calibrator{}}
	names, err := fs.Glob(dir, "*.json")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		raw, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		if name == "priors.json" {
			err = s.readPriors(raw)
		} else {
			err = s.readCalibrator(raw)
		}
		if err != nil {
			return nil, fmt.Errorf("calibrator %s: %w", name, err)
		}
	}
	return s, nil
}

func (s *Set) readCalibrator(raw []byte) error {
	var c Calibrator
	if err := json.Unmarshal(raw, &c); err != nil {
		return err
	}
	if err := c.Validate(); err != nil {
		return err
	}
	s.calibrators[c.Key] = &c
	return nil
}

func (s *Set) readPriors(raw []byte) error {
	if err := json.Unmarshal(raw, &s.priors); err != nil {
		return err
	}
	for i, p := range s.priors {
		if p == nil {
			return fmt.Errorf("prior %d is null", i)
		}
		if err := p.validate(); err != nil {
			return fmt.Errorf("prior %d: %w", i, err)
		}
	}
	return nil
}

// Merge takes another set's calibrators, which win over its own, and its priors
// if it has any.
func (s *Set) Merge(o *Set) {
	for _, c := range o.calibrators {
		s.Add(c)
	}
	if len(o.priors) > 0 {
		s.priors = o.priors
	}
}

// Add puts a calibrator into the set.
func (s *Set) Add(c *Calibrator) {
	if s.calibrators == nil {
		s.calibrators = map[Key]*Calibrator{}
	}
	s.calibrators[c.Key] = c
}

// Find gives the calibrator for a key.
func (s *Set) Find(k Key) (*Calibrator, bool) {
	c, ok := s.calibrators[k]
	if _, gone := s.withdrawn[k]; gone {
		return nil, false
	}
	return c, ok
}

// Without is the set without calibrators that hold no more, each with the reason:
// where one is missed, the probability is borrowed from other models, and
// [Calibration.Why] says why.
func (s *Set) Without(why map[Key]string) *Set {
	out := *s
	out.withdrawn = why
	return &out
}

// Digests names each calibrator by what it holds: another fit, another name.
func (s *Set) Digests() map[Key]string {
	out := make(map[Key]string, len(s.calibrators))
	for k, c := range s.calibrators {
		raw, err := json.Marshal(c)
		if err != nil {
			continue // it holds finite numbers, see Validate
		}
		out[k] = fmt.Sprintf("%.8x", sha256.Sum256(raw))
	}
	return out
}

// Calibration says what a probability rests on.
type Calibration struct {
	Status  Status   `json:"status"`
	Method  string   `json:"method,omitempty"`
	On      string   `json:"on,omitempty"`
	N       int      `json:"n"`
	Skill   *float64 `json:"skill"`
	Outside bool     `json:"outside"`
	Why     *string  `json:"why"`
}

// Status is the standing of a probability.
type Status string

// The standings.
const (
	Calibrated   Status = "calibrated"   // fitted for this model, policy, form and kind
	Borrowed     Status = "prior"        // borrowed from other models
	Uncalibrated Status = "uncalibrated" // there is no probability, only raw scores
)

const hint = "no calibrator for this model and policy yet: `gnothi calibrate` with 50 labelled answers narrows the interval"

// Estimate gives the probability that the answer is right and what it rests on;
// the estimate is nil where there is none.
func (s *Set) Estimate(k Key, rs []Named) (*Estimate, Calibration) {
	var problem error
	if c, ok := s.Find(k); ok {
		e, err := c.Apply(rs)
		if err == nil && c.Few != nil {
			why := fmt.Sprintf("%d labelled answers of this model so far: with %d it gets a calibrator of its own", c.Few.Own, MinExamples)
			return &e, Calibration{Status: Borrowed, Method: c.Few.method(), On: fmt.Sprintf("%s; %s", c.On, strings.Join(c.Few.Models, ", ")), N: c.Few.Own, Why: &why}
		}
		if err == nil {
			skill := c.Skill
			return &e, Calibration{Status: Calibrated, Method: "logistic", On: c.On, N: c.Fit.N, Skill: &skill, Outside: e.Outside}
		}
		problem = err
	}
	why := hint
	gone, withdrawn := s.withdrawn[k]
	switch {
	case withdrawn:
		why = gone
	case problem != nil:
		why = problem.Error()
	}
	for _, p := range s.priors {
		if e, err := p.Apply(rs); err == nil {
			return &e, Calibration{Status: Borrowed, Method: p.method(), On: strings.Join(p.Models, ", "), N: p.N, Why: &why}
		}
	}
	why = "no calibrator or prior for the signals that this model gives; see signals for the raw scores"
	switch {
	case withdrawn:
		why = gone
	case problem != nil:
		why = problem.Error()
	}
	return nil, Calibration{Status: Uncalibrated, Why: &why}
}

// Save writes a calibrator into a folder, atomically, in place of one for the
// same key, and returns its path.
func (c *Calibrator) Save(dir string) (path string, err error) {
	if err := c.Validate(); err != nil {
		return "", err
	}
	raw, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	// The name alone does not tell two forms of asking one model apart.
	end := fmt.Sprintf("-%.4x.json", sha256.Sum256(fmt.Appendf(nil, "%q", c.Key)))
	path = filepath.Join(dir, fileName(c.Name)+end)
	f, err := os.CreateTemp(dir, ".calibrator-*")
	if err != nil {
		return "", err
	}
	_, werr := f.Write(append(raw, '\n'))
	if err = errors.Join(werr, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	names, err := fs.Glob(os.DirFS(dir), "*"+end)
	for _, name := range names {
		if name != filepath.Base(path) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, name)))
		}
	}
	return path, err
}

// fileName keeps letters and digits of a name.
func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r >= 'A' && r <= 'Z', r == '.':
			return r
		}
		return '-'
	}, name)
}
