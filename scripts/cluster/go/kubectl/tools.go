//go:build tools

// Package tools names kubectl for machines that the official build is not published for, so that go.mod and go.sum pin
// every byte of it.
package tools

import _ "k8s.io/kubernetes/cmd/kubectl"
