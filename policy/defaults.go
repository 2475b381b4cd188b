package policy

import "strconv"

// Forever is the RoleEvidenceMaxAgeDays of roles that never lapse. In JSON it is
// 0.
const Forever = -1

// days is a number of days that may be Forever, and whose zero value stands for
// a default.
type days int

// MarshalJSON implements [encoding/json.Marshaler].
func (d days) MarshalJSON() ([]byte, error) {
	if d == Forever {
		d = 0
	}
	return strconv.AppendInt(nil, int64(d), 10), nil
}

// spellOut puts the default in place of each value that stands for it, and gives
// the time zone and the usual permissions their own names. It leaves what the
// values of c point to as it is.
func (c *Config) spellOut() {
	for _, o := range options {
		switch field := o.field(c).(type) {
		case *string:
			if texts := o.texts(); *field == "" && texts != nil {
				*field = texts[0]
			}
		case *days:
			if *field == 0 {
				*field = days(o.normal)
			}
		case *Permissions:
			all := Permissions{}
			for _, name := range usualPermissions {
				all[name] = nil
			}
			for name, allowed := range *field {
				all[usualPermission(name)] = allowed
			}
			*field = all
		}
	}
	if name, ok := TimeZone(c.TimeZone); ok {
		c.TimeZone = name
	}
}

// ExternalIDsImmutable reports whether an externalId says who somebody is: option
// externalIdImmutable, or what the dialect says where it is not set.
func (c *Config) ExternalIDsImmutable(dialect bool) bool {
	if c.ExternalIDImmutable != nil {
		return *c.ExternalIDImmutable
	}
	return dialect
}
