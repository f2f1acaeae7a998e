//go:build tools

// Package tools names Helm 3 for machines that the official builds are not published for, so that go.mod and go.sum pin
// every byte of it.
package tools

import _ "helm.sh/helm/v3/cmd/helm"
