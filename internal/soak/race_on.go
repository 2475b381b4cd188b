//go:build race

package main

// raceDetector says that the race detector watches. Its own memory grows with what was ever used at once, and is never given back.
const raceDetector = true
