package outbox

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
	"unicode"
)

// panicked is the error of a function that panicked.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// call gives an event to a function of the host. A panic is an error.
func call(ctx context.Context, fn Func, d Delivery) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{v, debug.Stack()}
		}
	}()
	return fn(ctx, d)
}

// causeSize is how many bytes are kept of what a consumer said.
const causeSize = 300

// describe returns the text of an error as it is kept and logged: valid UTF-8 on
// one line, without control characters, cut at a character.
func describe(err error) (text string) {
	defer func() {
		if recover() != nil { // such as of a nil pointer with a method that reads it
			text = fmt.Sprintf("error of type %T without a text", err)
		}
	}()
	var b strings.Builder
	for _, r := range err.Error() {
		if !unicode.IsPrint(r) {
			r = ' '
		}
		if b.Len()+len(string(r)) > causeSize {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
