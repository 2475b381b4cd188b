//go:build !unix

package scim_test

import "time"

// cpuTime is not known here: cpu-ns/op reads 0.
func cpuTime() time.Duration { return 0 }
