package questions_test

import (
	"fmt"

	"gnothi/eval/questions"
)

// Fit on one half, judge on the other: no subject is in both.
func ExampleSplit() {
	subjects := map[string]bool{}
	for _, q := range questions.Split(questions.Fit) {
		subjects[q.Cluster] = true
	}
	shared := 0
	for _, q := range questions.Split(questions.Apart) {
		if subjects[q.Cluster] {
			shared++
		}
	}
	fmt.Println(shared, "shared subjects")
	// Output: 0 shared subjects
}

func ExampleAll() {
	for _, q := range questions.All() {
		if q.Cluster == "country:japan" {
			fmt.Printf("%s (%s, level %d): %v\n", q.Question, q.Kind, q.Level, q.Answers[0])
		}
	}
	// Output:
	// Which city is the capital of Japan? (capitals, level 1): Tokyo
	// Tokyo is the capital of which country? (capitals, level 1): Japan
	// In which continent is Japan? (geography, level 1): Asia
	// What is the main language of government in Japan? (geography, level 1): Japanese
	// In which country is the city of Osaka? (geography, level 1): Japan
	// In which country is the city of Kyoto? (geography, level 1): Japan
	// Which country is the city of Hiroshima in? (geography, level 1): Japan
	// Which country is the city of Nagasaki in? (geography, level 1): Japan
	// Is Japan an island country? (yes-no, level 2): yes
	// Is Osaka the capital of Japan? (yes-no, level 1): no
}
