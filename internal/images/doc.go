// Package images turns images that are named into URLs that a model's server
// takes. It imports nothing of gnothi.
package images
