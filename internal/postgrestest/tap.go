//go:build unix

package postgrestest

import (
	"context"
	"encoding/binary"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// statement is a statement as it was sent, with its values.
type statement struct {
	text    string
	types   []uint32
	formats []int16
	values  [][]byte
}

// tap is a connection to a server, without TLS, that tells what is sent by it. It knows
// the messages of the protocol and nothing of who sends them, so that nothing is missed
// whichever way a client goes.
type tap struct {
	net.Conn
	tell     func(statement)
	started  bool                 // the messages without a type are over
	buffer   []byte               // the beginning of a message
	prepared map[string]statement // by name
}

// tapped returns a way to dial by which fn is told of everything that is executed.
func tapped(dial pgconn.DialFunc, fn func(statement)) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &tap{Conn: conn, tell: fn, prepared: map[string]statement{}}, nil
	}
}

// sslRequest is the code of the first message of a client that would like TLS.
const sslRequest = 80877103

// Write implements net.Conn.
func (c *tap) Write(b []byte) (int, error) {
	c.buffer = append(c.buffer, b...)
	for c.next() {
	}
	return c.Conn.Write(b)
}

// next takes a message from the buffer. It reports whether there was a whole one.
func (c *tap) next() bool {
	header := 1
	if !c.started {
		header = 0
	}
	if len(c.buffer) < header+4 {
		return false
	}
	end := header + int(binary.BigEndian.Uint32(c.buffer[header:]))
	if len(c.buffer) < end {
		return false
	}
	body := c.buffer[header+4 : end]
	if !c.started {
		c.started = binary.BigEndian.Uint32(body) != sslRequest
	} else {
		c.message(c.buffer[0], body)
	}
	c.buffer = c.buffer[end:]
	return true
}

func (c *tap) message(kind byte, body []byte) {
	switch kind {
	case 'P':
		var parse pgproto3.Parse
		if parse.Decode(body) == nil {
			c.prepared[parse.Name] = statement{text: parse.Query, types: append([]uint32(nil), parse.ParameterOIDs...)}
		}
	case 'B':
		var bind pgproto3.Bind
		if bind.Decode(body) != nil {
			return
		}
		s := c.prepared[bind.PreparedStatement]
		s.formats = append([]int16(nil), bind.ParameterFormatCodes...)
		for _, value := range bind.Parameters {
			if value != nil {
				value = append([]byte{}, value...)
			}
			s.values = append(s.values, value)
		}
		c.tell(s)
	}
}
