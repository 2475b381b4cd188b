package xsd_test

import (
	"testing"
	"time"

	"github.com/scimjit/provision/internal/xsd"
)

func TestDateTime(t *testing.T) {
	tests := []struct{ name, text, want string }{ // want is RFC 3339; "" means refused
		{"UTC", "2026-03-04T12:05:00Z", "2026-03-04T12:05:00Z"},
		{"no zone", "2026-03-04T12:05:00", "2026-03-04T12:05:00Z"},
		{"white space around", "\n\t 2026-03-04T12:05:00Z\r\n", "2026-03-04T12:05:00Z"},
		{"east", "2026-03-04T12:05:00+02:00", "2026-03-04T10:05:00Z"},
		{"west", "2026-03-04T12:05:00-05:30", "2026-03-04T17:35:00Z"},
		{"farthest zone", "2026-03-04T12:05:00+14:00", "2026-03-03T22:05:00Z"},
		{"milliseconds", "2026-03-04T12:05:00.125Z", "2026-03-04T12:05:00.125Z"},
		{"milliseconds, no zone", "2026-03-04T12:05:00.125", "2026-03-04T12:05:00.125Z"},
		{"Windows ticks", "2026-03-04T12:05:00.1234567Z", "2026-03-04T12:05:00.1234567Z"},
		{"finer than a nanosecond", "2026-03-04T12:05:00.1234567899999Z", "2026-03-04T12:05:00.123456789Z"},
		{"end of the day", "2026-03-04T24:00:00Z", "2026-03-05T00:00:00Z"},
		{"end of the day, with a fraction", "2026-03-04T24:00:00.000", "2026-03-05T00:00:00Z"},
		{"end of the year", "2026-12-31T24:00:00-01:00", "2027-01-01T01:00:00Z"},
		{"leap day", "2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"after the year 9999", "12026-03-04T12:05:00Z", "9999-12-31T23:59:59Z"},
		{"empty", "", ""},
		{"word", "yesterday", ""},
		{"date alone", "2026-03-04", ""},
		{"space for T", "2026-03-04 12:05:00Z", ""},
		{"comma", "2026-03-04T12:05:00,5Z", ""},
		{"fraction without digits", "2026-03-04T12:05:00.Z", ""},
		{"later than the end of the day", "2026-03-04T24:00:01Z", ""},
		{"25 hours", "2026-03-04T25:00:00Z", ""},
		{"leap second", "2026-12-31T23:59:60Z", ""},
		{"no leap day", "2026-02-29T00:00:00Z", ""},
		{"month 13", "2026-13-01T00:00:00Z", ""},
		{"zone without a colon", "2026-03-04T12:05:00+0200", ""},
		{"zone too far", "2026-03-04T12:05:00+14:01", ""},
		{"zone with 60 minutes", "2026-03-04T12:05:00+01:60", ""},
		{"lower case", "2026-03-04t12:05:00z", ""},
		{"no seconds", "2026-03-04T12:05Z", ""},
		{"year 0", "0000-03-04T12:05:00Z", ""},
		{"year with a zero before", "02026-03-04T12:05:00Z", ""},
		{"before our era", "-2026-03-04T12:05:00Z", ""},
		{"seconds since 1970", "1772625900", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := xsd.DateTime(tt.text)
			if (tt.want == "") != (err != nil) || err == nil && got.Format(time.RFC3339Nano) != tt.want {
				t.Errorf("got %v, %v, want %q", got.Format(time.RFC3339Nano), err, tt.want)
			}
		})
	}
}

func TestDuration(t *testing.T) {
	tests := []struct {
		text string
		want time.Duration // -1 means refused
	}{
		{"PT1H", time.Hour},
		{" PT1H30M\n", 90 * time.Minute},
		{"P1D", 24 * time.Hour},
		{"P7DT0H0M0.000S", 7 * 24 * time.Hour},
		{"P1M", 30 * 24 * time.Hour},
		{"P1Y2M", 425 * 24 * time.Hour},
		{"PT604800S", 7 * 24 * time.Hour},
		{"PT0S", 0},
		{"P99999999999999999999Y", xsd.MaxDuration},
		{"PT9999999999H", xsd.MaxDuration},
		{"", -1},
		{"P", -1},
		{"PT", -1},
		{"P1DT", -1},
		{"-P1D", -1},
		{"P1H", -1},
		{"1 day", -1},
		{"P1.5D", -1},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			got, err := xsd.Duration(tt.text)
			if (tt.want == -1) != (err != nil) || err == nil && got != tt.want {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

func TestCollapse(t *testing.T) {
	// A no-break space is no white space of XML.
	for in, want := range map[string]string{"": "", " \r\n\t": "", " a\n b ": "a b", "\u00a0a": "\u00a0a"} {
		if got := xsd.Collapse(in); got != want {
			t.Errorf("Collapse(%q) is %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]bool{"true": true, "\n1": true, "false": false, "0": false, "": false, "TRUE": false} {
		if got := xsd.Bool(in); got != want {
			t.Errorf("Bool(%q) is %v", in, got)
		}
	}
}
