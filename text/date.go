package text

import (
	"fmt"
	"strconv"
	"strings"
)

// date returns the canonical form of a calendar date that is the whole of s,
// or "": "1776-07-04", "1776-07" or "--07-04" where the year is missing.
// "04/07/1776" is ambiguous and so no date; "25/12/1999" is one. A year alone
// is a number.
func date(s string) string {
	if len(s) < 5 || len(s) > 48 || !strings.ContainsAny(s, "0123456789") {
		return ""
	}
	if y, m, d, ok := numericDate(s); ok {
		return isoDate(y, m, d)
	}
	var year, month, day int
	for _, w := range strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return strings.ContainsRune(" ,.\u00a0", r) }) {
		switch m := monthOf(w); {
		case m > 0 && month == 0:
			month = m
		case isWeekday(w) || w == "the" || w == "of" || w == "on" || w == "in":
		default:
			if d := digitsBeforeOrdinal(w); d != "" {
				w = d
			}
			n, err := strconv.Atoi(w)
			switch {
			case err != nil || !isInteger(w):
				return ""
			case len(w) <= 2 && day == 0 && n >= 1 && n <= 31:
				day = n
			case len(w) >= 3 && len(w) <= 4 && year == 0:
				year = n
			default:
				return ""
			}
		}
	}
	if month == 0 || year == 0 && day == 0 {
		return ""
	}
	return isoDate(year, month, day)
}

func isoDate(y, m, d int) string {
	switch {
	case y == 0:
		return fmt.Sprintf("--%02d-%02d", m, d)
	case d == 0:
		return fmt.Sprintf("%04d-%02d", y, m)
	}
	return fmt.Sprintf("%04d-%02d-%02d", y, m, d)
}

// numericDate reads 1776-07-04, 25/12/1999, 12/25/1999, 25.12.1999.
func numericDate(s string) (y, m, d int, ok bool) {
	s = strings.TrimSpace(s)
	sep := strings.IndexAny(s, "-/.")
	if sep < 1 {
		return 0, 0, 0, false
	}
	p := strings.Split(s, s[sep:sep+1])
	if len(p) != 3 {
		return 0, 0, 0, false
	}
	var n [3]int
	for i, f := range p {
		if !isInteger(f) || len(f) > 4 {
			return 0, 0, 0, false
		}
		n[i], _ = strconv.Atoi(f)
	}
	switch {
	case len(p[0]) == 4 && len(p[2]) <= 2:
		y, m, d = n[0], n[1], n[2]
	case len(p[2]) != 4:
		return 0, 0, 0, false
	case n[0] > 12 || s[sep] == '.': // a dot is the continental order
		y, m, d = n[2], n[1], n[0]
	case n[1] > 12 || n[0] == n[1]:
		y, m, d = n[2], n[0], n[1]
	}
	return y, m, d, m >= 1 && m <= 12 && d >= 1 && d <= 31 && y > 0
}

func monthOf(w string) int {
	if len(w) < 3 {
		return 0
	}
	for i, name := range [...]string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"} {
		if w == name || len(w) <= 4 && strings.HasPrefix(name, w) {
			return i + 1
		}
	}
	return 0
}

func isWeekday(w string) bool {
	switch w {
	case "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday":
		return true
	}
	return false
}
