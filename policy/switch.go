package policy

import "strconv"

// Switch is an option that is on unless somebody switches it off. The zero value
// is On, so that an option that nobody thought of is not off. In JSON it is true
// or false.
//
// Options that are off by default are plain bools.
type Switch uint8

// The values of a Switch.
const (
	On  Switch = iota // true
	Off               // false
)

// MarshalJSON implements [encoding/json.Marshaler]: true or false.
func (s Switch) MarshalJSON() ([]byte, error) {
	return strconv.AppendBool(nil, s != Off), nil
}

// UnmarshalJSON implements [encoding/json.Unmarshaler].
func (s *Switch) UnmarshalJSON(data []byte) (err error) {
	*s, err = value{data: data}.onOff()
	return err
}

// String returns "on" or "off".
func (s Switch) String() string {
	if s == Off {
		return "off"
	}
	return "on"
}

// FirstLogin says whether a login by an unknown person creates them. In JSON it
// is "auto", true or false.
type FirstLogin uint8

// The values of FirstLogin.
const (
	FirstLoginAuto      FirstLogin = iota // "auto": unless SCIM is set up
	FirstLoginProvision                   // true
	FirstLoginRefuse                      // false
)

// MarshalJSON implements [encoding/json.Marshaler]: "auto", true or false.
func (f FirstLogin) MarshalJSON() ([]byte, error) {
	if f == FirstLoginAuto {
		return []byte(`"auto"`), nil
	}
	return strconv.AppendBool(nil, f == FirstLoginProvision), nil
}

// UnmarshalJSON implements [encoding/json.Unmarshaler].
func (f *FirstLogin) UnmarshalJSON(data []byte) (err error) {
	*f, err = value{data: data}.firstLogin()
	return err
}
