package policy

import (
	"cmp"
	"slices"
	"sort"
	_ "time/tzdata" // so that time.LoadLocation knows every name that TimeZone returns
)

// TimeZone returns the IANA name of a time zone, spelled as in the IANA
// database. It knows IANA names and those of Rails, such as
// "Eastern Time (US & Canada)", without regard to case. A name that is both,
// such as "UTC", is the IANA one. Everything else, the empty name included, is
// not ok.
//
// The names are built in, so that all machines agree, and [time.LoadLocation]
// can load each of them.
func TimeZone(name string) (iana string, ok bool) {
	if i, found := sort.Find(len(ianaZones), func(i int) int { return compareASCII(name, ianaZones[i]) }); found {
		return ianaZones[i], true
	}
	if i, found := sort.Find(len(railsZones), func(i int) int { return compareASCII(name, railsZones[i].name) }); found {
		return railsZones[i].iana, true
	}
	return "", false
}

// timeZoneNames returns all names that TimeZone knows.
func timeZoneNames() []string {
	names := slices.Clone(ianaZones[:])
	for _, zone := range railsZones {
		names = append(names, zone.name)
	}
	return names
}

// compareASCII compares two texts byte for byte, but for the case of ASCII
// letters.
func compareASCII(a, b string) int {
	for i := range min(len(a), len(b)) {
		if c := cmp.Compare(lower(a[i]), lower(b[i])); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}
