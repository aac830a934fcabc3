// Package mcp gives agents what gnothi knows as tools of the Model Context
// Protocol: ask, check, score_answer, judge and am_i_sure. New makes a server,
// Server.Serve speaks over a pair of streams (stdio), Server is an http.Handler
// for the streamable transport.
//
// One file holds one tool: what it takes, what it gives (both are its JSON
// schemas), and how. Each call has a ledger of its own under the server's
// ceilings. Whatever a caller or a model wrote is data: it is quoted in prompts
// and never executed.
//
// It may import what gateway may.
package mcp
