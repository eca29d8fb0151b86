// Package greeting stands for what other people have written.
package greeting

// Of greets somebody.
func Of(name string) string { return "Hello from " + name }
