package ldap

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// scripted is a connection from which bytes come.
type scripted struct {
	net.Conn
	io.Reader
}

func (s scripted) Read(p []byte) (int, error) { return s.Reader.Read(p) }

// element is one in BER, whose length takes four bytes.
func element(tag byte, content ...[]byte) []byte {
	all := bytes.Join(content, nil)
	n := len(all)
	return append([]byte{tag, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, all...)
}

func nested(levels int) []byte {
	inner := element(0x04, []byte("x"))
	for range levels {
		inner = element(0x30, inner)
	}
	return inner
}

// many are the smallest elements.
func many(n int) []byte { return bytes.Repeat([]byte{0x04, 0}, n) }

func TestGuard(t *testing.T) {
	good := element(0x30, element(0x02, []byte{1}), element(0x04, []byte("value")))
	tests := []struct {
		name string
		sent []byte
		want string // part of the error; empty: all is passed on
	}{
		{"messages", append(bytes.Clone(good), good...), ""},
		{"as deep as may be", nested(maxNesting), ""}, // of which one is the message
		{"one deeper", nested(maxNesting + 2), "levels"},
		{"very deep", nested(3000), "levels"},
		{"as many elements as may be", element(0x30, many(maxElements-1)), ""},
		{"one element more", element(0x30, many(maxElements)), "elements"},
		{"one element more, deeper", element(0x30, element(0x30, many(maxElements-1))), "elements"},
		{"not LDAP", []byte("HTTP/1.1 400 Bad Request"), "not LDAP"},
		{"a message that announces much", []byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff}, "at most"},
		{"without a definite length", []byte{0x30, 0x80, 0x02, 0x01, 0x01, 0, 0}, "length"},
		{"an element without a definite length", element(0x30, []byte{0x30, 0x80, 0, 0}), "longer than"},
		{"an element that is longer than its message", element(0x30, []byte{0x04, 0x05, 'a'}), "longer than"},
		{"an element that is longer than the one around it", element(0x30, []byte{0x30, 0x03, 0x04, 0x05, 'a', 'b', 'c', 'd', 'e'}), "longer than"},
		{"a long tag", element(0x30, []byte{0x1f, 0x81, 0x01, 0x00}), "tag"},
		{"a message that ends early", good[:len(good)-2], "unexpected EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := io.ReadAll(newGuard(scripted{Reader: bytes.NewReader(tt.sent)}))
			if tt.want == "" && (err != nil || !bytes.Equal(got, tt.sent)) {
				t.Fatalf("passed on %d of %d bytes, %v", len(got), len(tt.sent), err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("passed on %d bytes, error %v", len(got), err)
			}
		})
	}
}

// An operation may read so much, and the next one as much again.
func TestGuardBoundsAnswers(t *testing.T) {
	message := element(0x30, element(0x04, make([]byte, maxMessage-100)))
	n := maxAnswer / len(message)
	g := newGuard(scripted{Reader: io.MultiReader(bytes.NewReader(bytes.Repeat(message, 1)), bytes.NewReader(bytes.Repeat(message, 2*n)))})
	for range n {
		if _, err := g.message(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := g.message(); !errors.Is(err, errMessage) {
		t.Errorf("one too many: %v", err)
	}
	g.allow()
	if _, err := g.message(); errors.Is(err, errMessage) && strings.Contains(err.Error(), "answer") {
		t.Errorf("of the next operation: %v", err)
	}
}

// Small elements count for what they cost.
func TestGuardBoundsElementsOfAnswers(t *testing.T) {
	message := element(0x30, many(maxElements-1))
	n := maxAnswer / (len(message) + maxElements*overhead)
	g := newGuard(scripted{Reader: bytes.NewReader(bytes.Repeat(message, n+1))})
	for range n {
		if _, err := g.message(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := g.message(); !errors.Is(err, errMessage) {
		t.Errorf("one too many: %v", err)
	}
}

func FuzzGuard(f *testing.F) {
	f.Add(element(0x30, element(0x02, []byte{1})))
	f.Add(nested(30))
	f.Fuzz(func(t *testing.T, sent []byte) {
		// What is passed on is the beginning of what was sent.
		got, _ := io.ReadAll(newGuard(scripted{Reader: bytes.NewReader(sent)}))
		if !bytes.HasPrefix(sent, got) {
			t.Fatalf("%x became %x", sent, got)
		}
	})
}
