// Package judge lets a model judge what models said. One [Judge] has five
// verbs: Rate, Compare, Rank, Verify and Tag. Each asks in a fresh context, puts
// the candidates, nameless, between fences that they cannot close, shows them in
// both orders, and reads the verdict from one fixed line.
//
// An order that changes the verdict makes it a tie and is counted as position
// bias; a reply without a verdict is asked for once again and then missing, and
// what is missing enters no average. A [Tally] gathers results into a [Bias],
// which belongs beside everything that a judge says. [SelfPreference] measures
// whether a judge favours its own (dbg-score); [PickPair] and [MetaPair] choose
// what to train on (meta-rewarding).
//
// It may import monitor, monitor/prompt, llm, text and stats.
package judge
