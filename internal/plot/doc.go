// Package plot draws the few charts that gnothi shows as SVG: small, without scripts or fonts, readable in light and dark.
// It knows nothing of what it draws and imports nothing of gnothi.
package plot
