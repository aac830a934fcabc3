package questions

import (
	"strconv"
	"strings"
)

var (
	units = strings.Fields("zero one two three four five six seven eight nine ten eleven twelve thirteen " +
		"fourteen fifteen sixteen seventeen eighteen nineteen")
	tens = strings.Fields("- - twenty thirty forty fifty sixty seventy eighty ninety")
)

// numeral lists the accepted ways to write a whole number between 0 and 999,999:
// 1248 is "1248", "1,248" and "one thousand two hundred and forty-eight".
func numeral(n int) []string {
	forms := []string{strconv.Itoa(n)}
	if n >= 1000 {
		digits := forms[0]
		forms = append(forms, digits[:len(digits)-3]+","+digits[len(digits)-3:])
	}
	return append(forms, spell(n))
}

func spell(n int) string {
	join := func(head string, rest int, link string) string {
		if rest == 0 {
			return head
		}
		return head + link + spell(rest)
	}
	switch {
	case n < 20:
		return units[n]
	case n < 100:
		return join(tens[n/10], n%10, "-")
	case n < 1000:
		return join(units[n/100]+" hundred", n%100, " and ")
	case n%1000 < 100:
		return join(spell(n/1000)+" thousand", n%1000, " and ")
	default:
		return join(spell(n/1000)+" thousand", n%1000, " ")
	}
}
