package claims

import (
	"context"
	"math"
	"strings"
	"unicode"

	"gnothi/monitor"
	"gnothi/text"
)

// Unigram is a unigram model with additive smoothing, what the symbolic agent of
// selfcheckagent counts words with: p = (count + k) / (total + k·words). Tokens
// are runs of word characters, and single other characters, in lower case.
type Unigram struct {
	k     float64
	count map[string]int
	total int
}

// NewUnigram counts the words of texts. The agent smooths with k = 1 (Laplace);
// k = 0 is SelfCheckGPT's n-gram, where a word that was never seen has infinite
// surprise.
func NewUnigram(k float64, texts ...string) *Unigram {
	u := &Unigram{k: k, count: map[string]int{}}
	for _, s := range texts {
		eachToken(s, func(w string) {
			u.count[w]++
			u.total++
		})
	}
	return u
}

// Surprise is the largest and the mean −log probability of a text's tokens, in
// nats, and the count of its rarest token; 0 for a text without tokens.
func (u *Unigram) Surprise(s string) (largest, mean float64, rarest int) {
	n := 0
	eachToken(s, func(w string) {
		c := u.count[w]
		nats := math.Log(float64(u.total)+u.k*float64(len(u.count))) - math.Log(float64(c)+u.k)
		if n == 0 || nats > largest {
			largest, rarest = nats, c
		}
		mean += nats
		n++
	})
	if n > 0 {
		mean /= float64(n)
	}
	return largest, mean, rarest
}

func eachToken(s string, use func(string)) {
	s = strings.ToLower(s)
	start := -1
	for i, r := range s {
		if unicode.IsLetter(r) || unicode.IsNumber(r) || r == '_' {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 {
			use(s[start:i])
			start = -1
		}
		if !unicode.IsSpace(r) {
			use(string(r))
		}
	}
	if start >= 0 {
		use(s[start:])
	}
}

// NGram is claims/ngram, the symbolic agent of selfcheckagent with words that
// match exactly (its word vectors are left out: chosen). Words are counted over
// the samples and the answer; raw is the largest −log probability of a claim's
// words (unigram-max of SelfCheckGPT). The map to [0,1], chosen, goes by the
// count c of the rarest word over n samples: ln((c+1)/2) / ln((n+2)/2), at most
// 1: 0 for a word that only the answer has, 1 for one as common as if each
// sample had it once. It asks the model for nothing but the samples.
type NGram struct {
	N int // samples; 0: those the policy has drawn, else DefaultSamples
}

// Name implements [Source].
func (NGram) Name() string { return "claims/ngram" }

// Support implements [Source].
func (s NGram) Support(ctx context.Context, t *monitor.Trial, c *monitor.Candidate, claims []text.Claim) ([]Support, error) {
	samples, err := others(ctx, t, c, s.N)
	out := make([]Support, len(claims))
	if len(samples) == 0 {
		if err == nil {
			err = &monitor.MissingError{Needs: "samples: all of them are empty or go in circles"}
		}
		return out, err
	}
	texts := []string{c.Text}
	for _, d := range samples {
		texts = append(texts, d.Text)
	}
	u := NewUnigram(1, texts...)
	for i, claim := range claims {
		raw, _, rarest := u.Surprise(claim.Text)
		// The words of a claim are counted with the answer, so rarest is at least 1.
		score := math.Log(float64(max(rarest, 1)+1)/2) / math.Log(float64(len(samples)+2)/2)
		out[i] = Support{Status: Checked, Score: min(1, score), Raw: raw, Source: "samples", Yes: len(samples)}
	}
	return out, err
}
