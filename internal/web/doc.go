// Package web holds what all pages of gnothi have in common: their style, how text
// from elsewhere is made visible, and the small drawings. What it is given is data
// and never becomes markup. It imports only what draws.
package web
