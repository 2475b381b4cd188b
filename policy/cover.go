package policy

// Covers reports whether the list surely selects each group that a pattern selects:
// for a name without wildcards whether a pattern of the list matches it, and for a
// pattern with wildcards whether one of the list is as wide. False says that there
// may be a group that the list does not select. A pattern by id is covered by the
// same id, and by *.
func (p Patterns) Covers(text string) bool {
	narrow, err := compilePattern(text)
	if err != nil {
		return false
	}
	for _, candidate := range p {
		wide, err := compilePattern(candidate)
		if err == nil && wide.covers(narrow) {
			return true
		}
	}
	return false
}

// covers reports whether p matches whatever another pattern matches.
func (p pattern) covers(narrow pattern) bool {
	switch {
	case p.id != "":
		return p.id == narrow.id
	case narrow.id != "":
		return p.name == string([]byte{anyRun}) // every group has a name
	case !p.wild:
		return !narrow.wild && p.name == narrow.name
	}
	return coversName(p.name, narrow.name)
}

// coversName is [matchName] for a name in which wildcards stand for whatever they
// match: a run is matched by a run alone, one character by either wildcard.
func coversName(pattern, name string) bool {
	i, j := 0, 0
	run, taken := -1, 0
	for i < len(name) {
		if j < len(pattern) {
			switch c := pattern[j]; {
			case c == anyRun:
				run, taken = j, i
				j++
				continue
			case c == anyOne && name[i] != anyRun:
				i += width([]byte(name[i:min(len(name), i+4)]))
				j++
				continue
			case c == name[i]:
				i++
				j++
				continue
			}
		}
		if run < 0 {
			return false
		}
		taken += width([]byte(name[taken:min(len(name), taken+4)]))
		i, j = taken, run+1
	}
	for j < len(pattern) && pattern[j] == anyRun {
		j++
	}
	return j == len(pattern)
}
