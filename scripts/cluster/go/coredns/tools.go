//go:build tools

// Package tools names CoreDNS, so that go.mod and go.sum pin every byte of it.
package tools

import _ "github.com/coredns/coredns"
