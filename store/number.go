package store

import (
	"cmp"
	"strings"
)

// number is a JSON number as its decimal digits, so that numbers of any size
// and precision compare exactly: 0.whole frac times ten to the power of point.
// Neither the first nor the last digit is 0; zero has no digits.
type number struct {
	negative    bool
	whole, frac string
	point       int64
}

// maxExponent is where exponents saturate.
const maxExponent = 1 << 40

// parseNumber reads a number literal. It also takes leading zeros.
func parseNumber(s string) (number, bool) {
	var n number
	s, n.negative = strings.CutPrefix(s, "-")
	n.whole, s = cutDigits(s)
	if n.whole == "" {
		return number{}, false
	}
	if rest, ok := strings.CutPrefix(s, "."); ok {
		if n.frac, s = cutDigits(rest); n.frac == "" {
			return number{}, false
		}
	}
	if s != "" {
		exponent, ok := parseExponent(s)
		if !ok {
			return number{}, false
		}
		n.point = exponent
	}
	n.point += int64(len(n.whole))
	n.trim()
	return n, true
}

// trim removes the zeros that do not count.
func (n *number) trim() {
	whole := strings.TrimLeft(n.whole, "0")
	n.point -= int64(len(n.whole) - len(whole))
	n.whole = whole
	if n.whole == "" {
		frac := strings.TrimLeft(n.frac, "0")
		n.point -= int64(len(n.frac) - len(frac))
		n.frac = frac
	}
	n.frac = strings.TrimRight(n.frac, "0")
	if n.frac == "" {
		n.whole = strings.TrimRight(n.whole, "0")
	}
	if n.whole == "" && n.frac == "" {
		*n = number{}
	}
}

// compare returns -1, 0 or +1 as n is less than, equal to or greater than m.
func (n number) compare(m number) int {
	if order := cmp.Compare(n.sign(), m.sign()); order != 0 {
		return order
	}
	if n.negative {
		return m.compareSize(n)
	}
	return n.compareSize(m)
}

func (n number) sign() int {
	switch {
	case n.digits() == 0:
		return 0
	case n.negative:
		return -1
	}
	return 1
}

// compareSize compares without the signs.
func (n number) compareSize(m number) int {
	if n.point != m.point {
		return cmp.Compare(n.point, m.point)
	}
	for i := range min(n.digits(), m.digits()) {
		if order := cmp.Compare(n.digit(i), m.digit(i)); order != 0 {
			return order
		}
	}
	return cmp.Compare(n.digits(), m.digits())
}

func (n number) digits() int { return len(n.whole) + len(n.frac) }

func (n number) digit(i int) byte {
	if i < len(n.whole) {
		return n.whole[i]
	}
	return n.frac[i-len(n.whole)]
}

func cutDigits(s string) (digits, rest string) {
	i := 0
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	return s[:i], s[i:]
}

// parseExponent reads an exponent with its letter.
func parseExponent(s string) (int64, bool) {
	if s[0] != 'e' && s[0] != 'E' {
		return 0, false
	}
	s, negative := strings.CutPrefix(s[1:], "-")
	if !negative {
		s = strings.TrimPrefix(s, "+")
	}
	digits, rest := cutDigits(s)
	if digits == "" || rest != "" {
		return 0, false
	}
	var n int64
	for _, d := range []byte(digits) {
		n = min(n*10+int64(d-'0'), maxExponent)
	}
	if negative {
		n = -n
	}
	return n, true
}
