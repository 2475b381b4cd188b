package jit

import (
	"maps"
	"slices"
)

// PresetRows returns the names of the table of presets.
func PresetRows() []string { return slices.Collect(maps.Keys(presets)) }
