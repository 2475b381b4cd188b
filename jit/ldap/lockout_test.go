package ldap

import (
	"strings"
	"testing"
)

// A check warns where the directory counts more strictly than logins here do.
func TestLockout(t *testing.T) {
	const halfHour = "-18000000000"
	for _, tt := range []struct {
		threshold, window string
		n                 int
		want              string // part of the reason; empty: there is none
	}{
		{"0", halfHour, 0, ""},
		{"0", "", 0, ""}, // nobody is ever locked
		{"7", halfHour, 7, ""},
		{"10", "-6000000000", 10, ""},
		{"10", "0", 10, ""},
		{"6", halfHour, 6, "up to 6"},
		{"3", halfHour, 3, "raise the threshold"},
		{"10", "-18000000001", 10, "30m"},
		{"10", "-9223372036854775808", 10, "30m"}, // for ever
		{"10", "", 10, "cannot be read"},
		{"10", "18000000000", 10, "cannot be read"},
		{"", halfHour, 0, "threshold cannot be read"},
		{"many", halfHour, 0, "threshold cannot be read"},
	} {
		n, reason := lockout(tt.threshold, tt.window)
		if n != tt.n || (reason == "") != (tt.want == "") || !strings.Contains(reason, tt.want) {
			t.Errorf("threshold %q, window %q: %d, %q; want %d, %q", tt.threshold, tt.window, n, reason, tt.n, tt.want)
		}
	}
}
