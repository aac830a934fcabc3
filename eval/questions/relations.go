package questions

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Kinds of question.
const (
	Capitals     = "capitals"
	Geography    = "geography"
	Elements     = "elements"
	Arithmetic   = "arithmetic"
	Spelling     = "spelling"
	Calendar     = "calendar"
	Events       = "events"
	Words        = "words"
	Makers       = "makers" // who wrote, painted, composed, discovered or invented it
	Animals      = "animals"
	Everyday     = "everyday"
	Science      = "science"
	YesNo        = "yes-no"
	Obscure      = "obscure"
	Unanswerable = "unanswerable" // false premises, and what nobody can know
)

var kinds = []string{Capitals, Geography, Elements, Arithmetic, Spelling, Calendar, Events, Words,
	Makers, Animals, Everyday, Science, YesNo, Obscure, Unanswerable}

// Kinds lists the kinds, in the order of All.
func Kinds() []string { return slices.Clone(kinds) }

// relation turns one table into questions of one form: the cells of Subject go
// into a phrasing of Ask, the cell of Answer is what is asked for.
type relation struct {
	Kind    string
	Table   string
	Only    map[string]string // rows whose cells are these; nil for all
	Subject []string          // columns; of a cell with several forms the first is used
	Answer  []string          // columns; together they hold the accepted forms
	Cluster string            // first part of the cluster
	By      string            // column that names the cluster's subject; Subject[0] if empty
	Harder  int               // how much harder this is to ask than the row's level
	Percent uint64            // share of the rows to use, for balance; 0 for all
	UpTo    int               // hardest level of the rows to use; 0 for all
	Ask     []string
}

var relations = []relation{
	{Kind: Capitals, Table: "countries", Subject: []string{"name"}, Answer: []string{"capital"}, Cluster: "country",
		Ask: []string{"What is the capital of %s?", "Which city is the capital of %s?", "What is the name of the capital city of %s?"}},
	{Kind: Capitals, Table: "countries", Subject: []string{"capital"}, Answer: []string{"name", "aka"}, Cluster: "country", By: "name", UpTo: 4,
		Ask: []string{"%s is the capital of which country?", "Which country has %s as its capital?"}},
	{Kind: Capitals, Table: "regions", Subject: []string{"of", "name"}, Answer: []string{"capital"}, Cluster: "region", By: "name",
		Ask: []string{"What is the capital of %s %s?", "Which city is the capital of %s %s?"}},

	{Kind: Geography, Table: "countries", Subject: []string{"name"}, Answer: []string{"continent"}, Cluster: "country", Harder: -1, Percent: 55,
		Ask: []string{"In which continent is %s?"}},
	{Kind: Geography, Table: "countries", Subject: []string{"name"}, Answer: []string{"currency"}, Cluster: "country", Harder: 1, Percent: 45,
		Ask: []string{"What is the currency of %s?", "Which currency is used in %s?"}},
	{Kind: Geography, Table: "countries", Subject: []string{"name"}, Answer: []string{"language"}, Cluster: "country", Percent: 60,
		Ask: []string{"What is the main language of government in %s?", "In which language does the government of %s mainly work?"}},
	{Kind: Geography, Table: "cities", Subject: []string{"city"}, Answer: []string{"country"}, Cluster: "country", By: "country",
		Ask: []string{"In which country is the city of %s?", "Which country is the city of %s in?"}},

	{Kind: Elements, Table: "elements", Subject: []string{"name"}, Answer: []string{"symbol"}, Cluster: "element",
		Ask: []string{"What is the chemical symbol for %s?", "What is the chemical symbol of %s?"}},
	{Kind: Elements, Table: "elements", Subject: []string{"symbol"}, Answer: []string{"name"}, Cluster: "element", By: "name", UpTo: 3,
		Ask: []string{"Which element has the chemical symbol %s?", "Of which element is %s the chemical symbol?"}},
	{Kind: Elements, Table: "elements", Subject: []string{"number"}, Answer: []string{"name"}, Cluster: "element", By: "name", Harder: 1, UpTo: 3,
		Ask: []string{"Which element has the atomic number %s?", "Which chemical element has %s protons?"}},

	{Kind: Spelling, Table: "plurals", Subject: []string{"word"}, Answer: []string{"plural"}, Cluster: "word",
		Ask: []string{`What is the plural of the word "%s"?`, `What is the plural of "%s"?`}},
	{Kind: Spelling, Table: "pasts", Subject: []string{"word"}, Answer: []string{"past"}, Cluster: "word",
		Ask: []string{`What is the past tense of the verb "%s"?`, `What is the past tense of "%s"?`}},

	{Kind: Events, Table: "events", Subject: []string{"event"}, Answer: []string{"year"}, Cluster: "event",
		Ask: []string{"In which year %s?", "In what year %s?"}},

	{Kind: Words, Table: "opposites", Subject: []string{"word"}, Answer: []string{"opposite"}, Cluster: "word",
		Ask: []string{`What is the opposite of "%s"?`, `What is the opposite of the word "%s"?`}},
	{Kind: Words, Table: "categories", Subject: []string{"item"}, Answer: []string{"category"}, Cluster: "word",
		Ask: []string{"What kind of thing is %s?", "What sort of thing is %s?"}},
	{Kind: Words, Table: "meanings", Subject: []string{"definition"}, Answer: []string{"word"}, Cluster: "word", By: "word",
		Ask: []string{"What is the word for %s?", "What do you call %s?"}},

	works("novel", "Who wrote the novel %s?", "Who is the author of the novel %s?"),
	works("book", "Who wrote the book %s?"),
	works("play", "Who wrote the play %s?", "Who is the author of the play %s?"),
	works("poem", "Who wrote the poem %s?", "Which poet wrote %s?"),
	works("painting", "Who painted %s?", "Which artist painted %s?"),
	works("opera", "Who composed the opera %s?", "Which composer wrote the opera %s?"),
	works("music", "Who composed %s?", "Which composer wrote %s?"),
	works("discovered", "Who discovered %s?"),
	works("invented", "Who invented %s?"),
	works("proposed", "Who first proposed %s?"),
	works("created", "Who created %s?"),
	works("founded", "Who founded %s?"),

	{Kind: Animals, Table: "animals", Subject: []string{"one"}, Answer: []string{"legs"}, Cluster: "animal", By: "animal", Percent: 80,
		Ask: []string{"How many legs does %s have?"}},
	{Kind: Animals, Table: "animals", Subject: []string{"animal"}, Answer: []string{"young"}, Cluster: "animal", Harder: 1,
		Ask: []string{"What is a baby %s called?", "What do you call a baby %s?"}},
	{Kind: Animals, Table: "animals", Subject: []string{"one"}, Answer: []string{"class"}, Cluster: "animal", By: "animal", Percent: 60,
		Ask: []string{"Which class of animals does %s belong to?"}},
}

func works(of string, ask ...string) relation {
	return relation{Kind: Makers, Table: "works", Only: map[string]string{"type": of},
		Subject: []string{"work"}, Answer: []string{"by"}, Cluster: "author", By: "by", Ask: ask}
}

// questions expands the relation over its table. Rows without a subject or an
// answer are passed over, and so are those whose answer could be read off the
// question (which country has Mexico City as its capital?).
func (rel relation) questions() []Question {
	var set []Question
	for _, r := range table(rel.Table) {
		var subject []any
		for _, column := range rel.Subject {
			subject = append(subject, strings.Split(r[column], "|")[0])
		}
		var answers []string
		for _, column := range rel.Answer {
			answers = append(answers, r.forms(column)...)
		}
		if rel.skips(r) || subject[0] == "" || len(answers) == 0 {
			continue
		}
		key := []string{rel.Kind, rel.Answer[0], fmt.Sprint(subject...)}
		if rel.Percent > 0 && hash(append(key, "share")...)%100 >= rel.Percent {
			continue
		}
		q := Question{
			Question: fmt.Sprintf(choose(rel.Ask, key...), subject...),
			Answers:  answers,
			Kind:     rel.Kind,
			Cluster:  rel.cluster(r),
			Level:    r.level() + rel.Harder,
		}
		if !mentionsAnswer(q) {
			set = append(set, q)
		}
	}
	return set
}

// cluster is the row's own if it has one, else named after the column By.
func (rel relation) cluster(r row) string {
	if r["cluster"] != "" {
		return r["cluster"]
	}
	return rel.Cluster + ":" + slug(strings.Split(r[cmp.Or(rel.By, rel.Subject[0])], "|")[0])
}

func (rel relation) skips(r row) bool {
	if rel.UpTo > 0 && r.level() > rel.UpTo {
		return true
	}
	for column, want := range rel.Only {
		if r[column] != want {
			return true
		}
	}
	return false
}

var (
	yes = []string{"yes", "true", "correct"}
	no  = []string{"no", "false", "incorrect"}

	// declining holds the short forms; a grader that knows refusals accepts those too.
	declining = []string{"none", "no one", "nobody", "nothing", "never", "there is none", "it does not exist", "does not exist",
		"unknown", "I don't know", "I do not know", "not known", "it is not known", "cannot be known", "unanswerable",
		"not applicable", "no answer", "there is no answer", "undefined", "it never happened", "it is impossible", "impossible"}
)

func fromTables() []Question {
	var set []Question
	for _, rel := range relations {
		set = append(set, rel.questions()...)
	}
	for _, r := range table("facts") {
		set = append(set, Question{Question: r["question"], Answers: r.forms("answers"),
			Kind: r["kind"], Cluster: r["cluster"], Level: r.level()})
	}
	for _, r := range table("statements") {
		q := Question{Question: r["question"], Answers: no, Kind: YesNo, Cluster: r["cluster"], Level: r.level()}
		if r["answer"] == "yes" {
			q.Answers = yes
		}
		set = append(set, q)
	}
	for _, r := range table("unanswerable") {
		set = append(set, Question{Question: r["question"], Answers: declining, Unanswerable: true,
			Kind: Unanswerable, Cluster: r["cluster"], Level: r.level()})
	}
	return append(set, capitalOrNot()...)
}

// capitalOrNot asks of countries whose best-known city is not the capital
// whether one or the other is.
func capitalOrNot() []Question {
	var set []Question
	for _, r := range table("countries") {
		if r["decoy"] == "" {
			continue
		}
		city, answers := r["decoy"], no
		if hash("capital or not", r["name"])%2 == 0 {
			city, answers = r.forms("capital")[0], yes
		}
		set = append(set, Question{Question: fmt.Sprintf("Is %s the capital of %s?", city, r["name"]), Answers: answers,
			Kind: YesNo, Cluster: "country:" + slug(r["name"]), Level: r.level()})
	}
	return set
}
