// Package page shows a run to people: report.html, one file that can be kept,
// printed and published, and an explorer over all items of a run, also while it
// goes on.
//
// What models and data say is shown as text and never becomes markup. Pages load
// nothing from anywhere, run no script but their own, and can be read without it.
//
// It may import what package eval may; it draws with internal/plot and knows
// nothing of commands and servers.
package page
