//go:build tools

// Package tools names Helm 4 for machines that the official builds are not published for, so that go.mod and go.sum pin
// every byte of it.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
