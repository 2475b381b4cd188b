package policy

// MatchPattern reports whether one pattern matches a group, as a policy does it.
func MatchPattern(pattern string, g Group) (bool, error) {
	patterns := Patterns{pattern}
	if err := patterns.check(); err != nil {
		return false, err
	}
	m := newMatcher([]Patterns{excludedList: patterns})
	var h hits
	m.match(&g, 0, &h)
	return h.own(0)[excludedList] != 0, nil
}

// RailsZones returns the table of Rails names.
func RailsZones() map[string]string {
	zones := map[string]string{}
	for _, zone := range railsZones {
		zones[zone.name] = zone.iana
	}
	return zones
}

// IANAZones returns the table of IANA names.
func IANAZones() []string { return ianaZones[:] }

// NearestOf returns the word that text is most likely meant to be, of a few right
// ones or of many.
func NearestOf(text string, words []string, few bool) (word string, ok bool) {
	if few {
		return nearest(text, words, nearOfFew)
	}
	return nearest(text, words, nearOfMany)
}
