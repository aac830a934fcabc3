package questions

import (
	"embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The tables are tab-separated, with a header; "|" separates the accepted forms
// of one cell and "-" stands for nothing to ask.
//
//go:embed data/*.tsv
var tables embed.FS

type row map[string]string

// table reads one of the embedded tables. They are part of the program, so a
// malformed one is a programmer's error.
func table(name string) []row {
	f, err := tables.Open("data/" + name + ".tsv")
	if err != nil {
		panic(fmt.Sprintf("questions: %v", err))
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes = '\t', true
	lines, err := r.ReadAll()
	if err != nil {
		panic(fmt.Sprintf("questions: table %s: %v", name, err))
	}
	rows := make([]row, 0, len(lines)-1)
	for _, line := range lines[1:] {
		cells := row{}
		for i, column := range lines[0] {
			if line[i] != "-" {
				cells[column] = line[i]
			}
		}
		rows = append(rows, cells)
	}
	return rows
}

// forms lists the accepted forms in a cell: "#8" stands for 8 in figures and in
// words, "the Gambia" for itself and "Gambia".
func (r row) forms(column string) []string {
	var forms []string
	for _, form := range strings.Split(r[column], "|") {
		if digits, ok := strings.CutPrefix(form, "#"); ok {
			forms = append(forms, numeral(r.number(column, digits))...)
		} else if form != "" {
			forms = append(forms, form)
			if bare, ok := strings.CutPrefix(form, "the "); ok {
				forms = append(forms, bare)
			}
		}
	}
	return distinct(forms)
}

func (r row) level() int { return r.number("level", r["level"]) }

func (r row) number(column, digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		panic(fmt.Sprintf("questions: column %s of row %v: %v", column, r, err))
	}
	return n
}

// distinct drops repetitions and keeps the order.
func distinct(forms []string) []string {
	var kept []string
	for _, form := range forms {
		if !slices.Contains(kept, form) {
			kept = append(kept, form)
		}
	}
	return kept
}
