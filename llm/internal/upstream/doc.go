// Package upstream is the HTTP side that the remote providers share: requests
// with separate limits for the first byte and for the time between bytes,
// bounded bodies, errors without keys, and server-sent events. It imports llm
// and the standard library.
package upstream
