// Package gateway puts Minds behind the OpenAI HTTP API: whoever changes their
// base URL to it gets the same answers as before, each with a belief beside it.
//
//	handler, err := gateway.New(gateway.Options{Model: model})
//	listener, err := gateway.Listen(ctx, "127.0.0.1:8317", "")
//	err = gateway.Serve(ctx, listener, handler, slog.Default())
//
// A request's way: the body becomes an [llm.Request] that loses nothing
// (llm/openai), a plan says which model answers under which policy, a Mind made
// for this one request deliberates, and the answer goes out in one piece or as
// events. The policy direct is the client's own request, sent once and passed
// back as it comes; a deliberating policy owns its sampling (temperature, top_p,
// min_p and top_k of the client do not reach it) and delivers one of its
// candidates, or the sentence that stands for a withheld one.
//
// What was answered is kept as trials ([gnothi/store.Trials]), off the request's
// path, and shown by the pages; verdicts on it become figures, calibrators
// ([LabelledTrials]) and, where a calibrator no longer holds, its withdrawal
// ([Watch]).
//
// The package may import everything below cmd but the engine; what only a model
// in this process can do comes in as [Native].
package gateway
