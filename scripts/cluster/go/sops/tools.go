//go:build tools

// Package tools names sops, so that go.mod and go.sum pin every byte of it.
package tools

import _ "github.com/getsops/sops/v3/cmd/sops"
