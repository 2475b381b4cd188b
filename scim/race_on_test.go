//go:build race

package scim_test

const raceDetector = true
