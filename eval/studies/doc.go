// Package studies holds the published studies, one file each, every file named
// after what its paper is called in the census, and a few that draw on several
// papers or on none of it after what they measure. A study is an [eval.Suite].
//
// The studies of self-knowledge share one item, [SelfClaim]: what a model says
// of itself in one fresh context against what it does in another.
//
// What the model wrote goes into later prompts only as quoted data, and is read
// for the few words that were asked for; everything else about it is ignored.
//
// It may import what package eval may, and package eval/questions.
package studies
