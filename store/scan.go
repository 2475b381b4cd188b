package store

import "bytes"

// cursor steps through the items of one JSON object or array. Nested values are
// skipped by counting brackets, so that neither depth nor bytes that are not
// JSON can hurt.
type cursor struct {
	data []byte
	pos  int
}

// open returns a cursor on the first item of an object ('{') or array ('['). On
// anything else the cursor has no data and no items.
func open(data []byte, bracket byte) cursor {
	i := skipSpace(data, 0)
	if i >= len(data) || data[i] != bracket {
		return cursor{}
	}
	return cursor{data: data, pos: i + 1}
}

// field returns the next key, decoded, and value of an object.
func (c *cursor) field() (key []byte, value Raw, ok bool) {
	start := c.item()
	if start >= len(c.data) || c.data[start] != '"' {
		return nil, nil, false
	}
	end := skipString(c.data, start)
	if end < 0 {
		return nil, nil, false
	}
	colon := skipSpace(c.data, end)
	if colon >= len(c.data) || c.data[colon] != ':' {
		return nil, nil, false
	}
	value, ok = c.value(skipSpace(c.data, colon+1))
	return Raw(c.data[start:end]).text(), value, ok
}

// element returns the next element of an array.
func (c *cursor) element() (Raw, bool) { return c.value(c.item()) }

// item returns where the next item starts.
func (c *cursor) item() int {
	i := skipSpace(c.data, c.pos)
	if i < len(c.data) && c.data[i] == ',' {
		i = skipSpace(c.data, i+1)
	}
	return i
}

// value returns the value at start and moves past it.
func (c *cursor) value(start int) (Raw, bool) {
	end := skipValue(c.data, start)
	if end < 0 {
		c.pos = len(c.data)
		return nil, false
	}
	c.pos = end
	return Raw(c.data[start:end]), true
}

// skipValue returns the end of the value that starts at i, or -1 when there is
// none or it does not end.
func skipValue(data []byte, i int) int {
	if i >= len(data) {
		return -1
	}
	switch data[i] {
	case '"':
		return skipString(data, i)
	case '{', '[':
		return skipNested(data, i)
	}
	if end := skipLiteral(data, i); end > i {
		return end
	}
	return -1
}

// skipNested returns the end of the object or array that starts at i, or -1.
func skipNested(data []byte, i int) int {
	for depth := 0; i < len(data); {
		switch data[i] {
		case '"':
			if i = skipString(data, i); i < 0 {
				return -1
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return -1
}

// skipString returns the end of the string whose opening quote is at i, or -1.
func skipString(data []byte, i int) int {
	for end := i + 1; ; end++ {
		n := bytes.IndexByte(data[end:], '"')
		if n < 0 {
			return -1
		}
		end += n
		// The opening quote ends the run of backslashes at the latest.
		escapes := 0
		for data[end-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return end + 1
		}
	}
}

// skipLiteral returns the end of the number, boolean or null that starts at i.
func skipLiteral(data []byte, i int) int {
	for i < len(data) {
		switch data[i] {
		case ',', ']', '}', ':', '"', '{', '[', ' ', '\t', '\r', '\n':
			return i
		}
		i++
	}
	return i
}

// skipSpace returns the first place from i on that is not white space.
func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\t' || data[i] == '\n' || data[i] == '\r') {
		i++
	}
	return i
}
