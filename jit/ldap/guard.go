package ldap

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

// Bounds of what a server may send.
const (
	// maxMessage is how many bytes one message may have: a group with 200,000
	// members fits.
	maxMessage = 32 << 20

	// maxAnswer is how many bytes the messages of one operation may have together,
	// such as those of a page.
	maxAnswer = 128 << 20

	// maxNesting is how deep the elements of a message may be nested. Those of
	// RFC 4511 are less deep, also with the controls that are asked for.
	maxNesting = 24

	// maxElements is how many elements a message may have. The decoder takes some
	// hundred bytes for each, however small. A group has one for each member.
	maxElements = 1_000_000

	// overhead is how many bytes an element of an answer counts beside its own.
	overhead = 32
)

// errMessage is what errors of [guard] wrap.
var errMessage = errors.New("ldap: what the server sent is not accepted")

// guard is a connection that reads whole messages and passes on only those of a bounded
// size, depth and number of elements. The decoder behind it makes many objects of a message, and calls itself
// for each level: a server must not be able to end the process.
type guard struct {
	net.Conn
	in   *bufio.Reader
	rest []byte       // of the message that is being passed on
	left atomic.Int64 // bytes that the operation may still read
}

func newGuard(conn net.Conn) *guard {
	g := &guard{Conn: conn, in: bufio.NewReaderSize(conn, 16<<10)}
	g.allow()
	return g
}

// allow begins an operation.
func (g *guard) allow() { g.left.Store(maxAnswer) }

// Read implements net.Conn.
func (g *guard) Read(p []byte) (int, error) {
	if len(g.rest) == 0 {
		message, err := g.message()
		if err != nil {
			return 0, err
		}
		g.rest = message
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// message reads one LDAPMessage (RFC 4511 section 4.1.1).
func (g *guard) message() ([]byte, error) {
	var header [6]byte
	if _, err := io.ReadFull(g.in, header[:2]); err != nil {
		return nil, err
	}
	if header[0] != 0x30 {
		return nil, fmt.Errorf("%w: it is not LDAP", errMessage)
	}
	end := 2
	if header[1] >= 0x80 {
		end += int(header[1] & 0x7f)
		if end == 2 || end > len(header) {
			return nil, fmt.Errorf("%w: the length of a message has %d bytes", errMessage, end-2)
		}
		if _, err := io.ReadFull(g.in, header[2:end]); err != nil {
			return nil, unexpected(err)
		}
	}
	length, _, _ := elementLength(header[1:end]) // of as many bytes as it needs
	switch {
	case length > maxMessage:
		return nil, fmt.Errorf("%w: a message of %d bytes, and at most %d are read", errMessage, length, maxMessage)
	case g.left.Add(-length) < 0:
		return nil, fmt.Errorf("%w: an answer of more than %d bytes", errMessage, int64(maxAnswer))
	}
	message := append([]byte(nil), header[:end]...)
	message, err := readMore(g.in, message, int(length))
	if err != nil {
		return nil, unexpected(err)
	}
	elements, err := checkElements(message[end:])
	if err != nil {
		return nil, err
	}
	if g.left.Add(-int64(elements*overhead)) < 0 {
		return nil, fmt.Errorf("%w: an answer of more than %d bytes, with %d for each element", errMessage, int64(maxAnswer), overhead)
	}
	return message, nil
}

// readMore appends n bytes. The memory grows with what has come, not with what was
// announced.
func readMore(r io.Reader, to []byte, n int) ([]byte, error) {
	const step = 64 << 10
	for n > 0 {
		part := min(n, max(step, len(to)))
		at := len(to)
		to = append(to, make([]byte, part)...)
		if _, err := io.ReadFull(r, to[at:]); err != nil {
			return nil, err
		}
		n -= part
	}
	return to, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// elementLength reads the length of an element in its definite form (RFC 4511 section
// 5.1), of at most four bytes, and how many bytes it takes itself.
func elementLength(b []byte) (length int64, size int, ok bool) {
	if len(b) == 0 {
		return 0, 0, false
	}
	if b[0] < 0x80 {
		return int64(b[0]), 1, true
	}
	n := int(b[0] & 0x7f)
	if n == 0 || n > 4 || len(b) < 1+n {
		return 0, 0, false
	}
	var text [8]byte
	copy(text[8-n:], b[1:1+n])
	return int64(binary.BigEndian.Uint64(text[:])), 1 + n, true
}

// checkElements walks through the elements of a message without calling itself, and
// returns how many there are, with the message.
func checkElements(b []byte) (elements int, err error) {
	var ends [maxNesting]int // of the elements around, from the outside
	depth, at := 0, 0
	for elements = 1; at < len(b); elements++ {
		if elements == maxElements {
			return 0, fmt.Errorf("%w: a message of more than %d elements", errMessage, maxElements)
		}
		for depth > 0 && at == ends[depth-1] {
			depth--
		}
		limit := len(b)
		if depth > 0 {
			limit = ends[depth-1]
		}
		if b[at]&0x1f == 0x1f {
			return 0, fmt.Errorf("%w: an element with a long tag", errMessage)
		}
		length, size, ok := elementLength(b[at+1 : limit])
		begin := at + 1 + size
		if !ok || length > int64(limit-begin) {
			return 0, fmt.Errorf("%w: an element is longer than what it is in", errMessage)
		}
		if b[at]&0x20 == 0 { // primitive
			at = begin + int(length)
			continue
		}
		if depth == maxNesting {
			return 0, fmt.Errorf("%w: elements in more than %d levels", errMessage, maxNesting)
		}
		ends[depth], at = begin+int(length), begin
		depth++
	}
	return elements, nil
}
