package text

import (
	"math/big"
	"strings"
)

// wordNumber reads an English number in words at i: "forty-two", "one hundred
// and five", "nineteen forty-five", "two and a half", "three quarters", "minus
// five". It returns nil if there is none.
func wordNumber(s string, i int) (v *big.Rat, end int) {
	var (
		total, current  int64 // finished thousands; what is still being added up
		frac            *big.Rat
		found, negative bool
	)
	end = i
scan:
	for at := i; ; {
		w, next := wordAt(s, skipWordGap(s, at))
		if w == "" || len(w) > 12 {
			break
		}
		lw := strings.ToLower(w)
		switch n, class := cardinal(lw); {
		case !found && (lw == "minus" || lw == "negative"):
			negative = true
			at = next
			continue
		case lw == "a" || lw == "an" || lw == "and":
			// Only glue: it needs a number word behind it, and "and" one before it.
			follow, _ := wordAt(s, skipWordGap(s, next))
			lf := strings.ToLower(follow)
			_, fc := cardinal(lf)
			_, denominated := denominator(lf)
			switch {
			case lw != "and" && (fc == classScale || lf == "dozen" || found && denominated):
			case lw == "and" && found && (lf == "a" || fc != 0 && current%100 == 0):
			default:
				break scan
			}
			at = next
			continue
		case class == classUnit:
			switch {
			case !found, current%100 == 0 && current+total > 0, n < 10 && current%10 == 0 && current%100 >= 20:
				current += n
			case current >= 10 && current < 100 && n >= 10: // nineteen twelve
				current = current*100 + n
			default:
				break scan
			}
		case class == classTens:
			switch {
			case !found || current%100 == 0:
				current += n
			case current >= 10 && current < 100: // nineteen forty
				current = current*100 + n
			default:
				break scan
			}
		case class == classScale && n == 100:
			if current > 99 {
				break scan
			}
			current = max(current, 1) * 100
		case class == classScale:
			if current > 99_999 || total%(n*1000) != 0 {
				break scan
			}
			total += max(current, 1) * n
			current = 0
		case lw == "dozen" && current < 1000:
			current = max(current, 1) * 12
		default:
			d, ok := denominator(lw)
			if !ok || !found && lw != "half" && lw != "quarter" {
				break scan
			}
			if frac == nil && found && hasGlue(s, i, at) { // two and a half
				frac = big.NewRat(1, d)
			} else if total == 0 { // three quarters
				frac = big.NewRat(max(current, 1), d)
				current = 0
			} else {
				break scan
			}
			found, end = true, next
			break scan
		}
		found, end, at = true, next, next
	}
	if !found {
		return nil, i
	}
	v = new(big.Rat).SetInt64(total + current)
	if frac != nil {
		v.Add(v, frac)
	}
	if negative {
		v.Neg(v)
	}
	return v, end
}

// hasGlue reports whether the words read last are "and a".
func hasGlue(s string, from, at int) bool {
	return strings.HasSuffix(strings.ToLower(strings.TrimSpace(s[from:at])), "and a")
}

func skipWordGap(s string, i int) int {
	i = skipSpaces(s, i)
	if i < len(s) && s[i] == '-' {
		i++
	}
	return i
}

type wordClass uint8

const (
	classUnit  wordClass = iota + 1 // zero to nineteen
	classTens                       // twenty, thirty, …
	classScale                      // hundred, thousand, …
)

func cardinal(w string) (int64, wordClass) {
	switch w {
	case "zero":
		return 0, classUnit
	case "one":
		return 1, classUnit
	case "two":
		return 2, classUnit
	case "three":
		return 3, classUnit
	case "four":
		return 4, classUnit
	case "five":
		return 5, classUnit
	case "six":
		return 6, classUnit
	case "seven":
		return 7, classUnit
	case "eight":
		return 8, classUnit
	case "nine":
		return 9, classUnit
	case "ten":
		return 10, classUnit
	case "eleven":
		return 11, classUnit
	case "twelve":
		return 12, classUnit
	case "thirteen":
		return 13, classUnit
	case "fourteen":
		return 14, classUnit
	case "fifteen":
		return 15, classUnit
	case "sixteen":
		return 16, classUnit
	case "seventeen":
		return 17, classUnit
	case "eighteen":
		return 18, classUnit
	case "nineteen":
		return 19, classUnit
	case "twenty":
		return 20, classTens
	case "thirty":
		return 30, classTens
	case "forty", "fourty":
		return 40, classTens
	case "fifty":
		return 50, classTens
	case "sixty":
		return 60, classTens
	case "seventy":
		return 70, classTens
	case "eighty":
		return 80, classTens
	case "ninety":
		return 90, classTens
	case "hundred":
		return 100, classScale
	case "thousand":
		return 1_000, classScale
	case "million":
		return 1_000_000, classScale
	case "billion":
		return 1_000_000_000, classScale
	case "trillion":
		return 1_000_000_000_000, classScale
	}
	return 0, 0
}

func denominator(w string) (int64, bool) {
	switch strings.TrimSuffix(w, "s") {
	case "half", "halve":
		return 2, true
	case "third":
		return 3, true
	case "quarter", "fourth":
		return 4, true
	case "fifth":
		return 5, true
	case "sixth":
		return 6, true
	case "eighth":
		return 8, true
	case "tenth":
		return 10, true
	}
	return 0, false
}

// ordinal reads first … twentieth.
func ordinal(w string) (int64, bool) {
	switch w {
	case "first":
		return 1, true
	case "second":
		return 2, true
	case "third":
		return 3, true
	case "fifth":
		return 5, true
	case "eighth":
		return 8, true
	case "ninth":
		return 9, true
	case "twelfth":
		return 12, true
	case "twentieth":
		return 20, true
	}
	if stem, ok := strings.CutSuffix(w, "th"); ok {
		if n, c := cardinal(stem); c == classUnit {
			return n, true
		}
	}
	return 0, false
}
