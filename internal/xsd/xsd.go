// Package xsd reads the values of the few XML Schema types that SAML uses
// (XML Schema part 2: Datatypes), as their lexical rules have them.
//
// White space around a value belongs to its document and not to the value: of all
// these types it is collapsed (section 4.3.6).
package xsd

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// isSpace knows the white space of XML, which is less than that of Unicode.
func isSpace(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' }

// Collapse returns a value without white space around it, and with one space for
// each run of it inside.
func Collapse(s string) string { return strings.Join(Fields(s), " ") }

// Fields splits a list at white space.
func Fields(s string) []string { return strings.FieldsFunc(s, isSpace) }

// Bool reads a boolean. What is none is false.
func Bool(s string) bool {
	s = Collapse(s)
	return s == "true" || s == "1"
}

// layout is the lexical form of xs:dateTime (section 3.2.7.1).
var layout = regexp.MustCompile(`^(\d{4,})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?$`)

const (
	maxZone = 14 * time.Hour
	endOf   = 9999 // the last year that other formats can write
)

// DateTime reads an xs:dateTime. One without a time zone is UTC, as SAML wants
// all of them to be (SAML core section 1.3.3). 24:00:00 is the beginning of the
// next day. A year with more than four digits is the end of 9999, since all that
// a time is compared with comes before.
func DateTime(s string) (time.Time, error) {
	s = Collapse(s)
	m := layout.FindStringSubmatch(s)
	if m == nil || s[0] == '0' && strings.Trim(m[1], "0") == "" {
		return time.Time{}, fmt.Errorf("%q is not a time", shorten(s))
	}
	if len(m[1]) > 4 && m[1][0] != '0' {
		return time.Date(endOf, 12, 31, 23, 59, 59, 0, time.UTC), nil
	}
	midnight := m[4] == "24" && m[5] == "00" && m[6] == "00" && strings.Trim(m[7], ".0") == ""
	if midnight {
		m[4] = "00"
	}
	if m[8] == "" {
		m[8] = "Z"
	}
	t, err := time.Parse(time.RFC3339, m[1]+"-"+m[2]+"-"+m[3]+"T"+m[4]+":"+m[5]+":"+m[6]+truncate(m[7])+m[8])
	if err != nil || len(m[1]) > 4 || !isZone(m[8]) {
		return time.Time{}, fmt.Errorf("%q is not a time", shorten(s))
	}
	if midnight {
		t = t.AddDate(0, 0, 1)
	}
	return t.UTC(), nil
}

// truncate leaves a fraction of seconds no more digits than a time has.
func truncate(fraction string) string { return fraction[:min(len(fraction), len(".123456789"))] }

func isZone(s string) bool {
	if s == "Z" {
		return true
	}
	hours, _ := strconv.Atoi(s[1:3]) // digits, by the pattern
	minutes, _ := strconv.Atoi(s[4:])
	return minutes < 60 && time.Duration(hours)*time.Hour+time.Duration(minutes)*time.Minute <= maxZone
}

// duration is the lexical form of xs:duration (section 3.2.6.1) that is not
// negative.
var duration = regexp.MustCompile(`^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?)?$`)

// MaxDuration is the longest that [Duration] returns.
const MaxDuration = 100 * 365 * 24 * time.Hour

// Duration reads an xs:duration in whole seconds. A year counts 365 days and a
// month 30; what is longer than [MaxDuration] is that. A negative one is refused.
func Duration(s string) (time.Duration, error) {
	s = Collapse(s)
	m := duration.FindStringSubmatch(s)
	if m == nil || s == "P" || m[4] == "T" {
		return 0, fmt.Errorf("%q is not a duration", shorten(s))
	}
	const day = 24 * time.Hour
	var sum time.Duration
	for _, part := range []struct {
		digits string
		unit   time.Duration
	}{{m[1], 365 * day}, {m[2], 30 * day}, {m[3], day}, {m[5], time.Hour}, {m[6], time.Minute}, {m[7], time.Second}} {
		if part.digits == "" {
			continue
		}
		n, err := strconv.ParseInt(part.digits, 10, 64)
		if err != nil || n > int64((MaxDuration-sum)/part.unit) {
			return MaxDuration, nil //nolint:nilerr // digits: it is only too long
		}
		sum += time.Duration(n) * part.unit
	}
	return sum, nil
}

func shorten(s string) string {
	if len(s) <= 64 {
		return s
	}
	return strings.ToValidUTF8(s[:64], "") + "..."
}
