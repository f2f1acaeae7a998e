//go:build tools

// Package tools names a Helm that no cluster comes with, so that go.mod and go.sum pin every byte of it.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
