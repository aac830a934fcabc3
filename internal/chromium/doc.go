// Package chromium lets tests look at pages in a real browser: a Chromium without
// a window that is told what to do through a pipe, and says what it does. Where
// there is none, tests that ask for one are skipped. It imports nothing of gnothi.
package chromium
