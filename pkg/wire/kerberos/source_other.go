//go:build !windows

package kerberos

func newSource(c Config) (source, error) { return newCenter(c) }
