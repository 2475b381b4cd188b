package jit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// Denial is a refused login as a host shows and logs it.
type Denial struct {
	// ID is random; it is on the page and in the log line, and nothing else
	// joins the two.
	ID string

	// Status is the HTTP status: 400 for a message that is not valid, 403 for a
	// person who may not log in, 404 for a connection that is not there, 503
	// when the store is away, 500 for what nobody foresaw.
	Status int

	// Public is the same text for every refusal of a status.
	Public string

	// Code and Cause are for administrators. They are in the log. The Code of a
	// [*provision.DeniedError] is its own.
	Code  string
	Cause error
}

// The codes of a [Denial] beside those of [provision.DeniedError].
const (
	CodeAttribute   = "attribute"   // an [*AttributeError]
	CodeConnection  = "connection"  // there is no such connection
	CodeReplay      = "replay"      // a [*provision.ReplayError]: used before
	CodeUnavailable = "unavailable" // the store is busy or away
	CodeInternal    = "internal"    // anything else
)

// publicTexts are what the browser gets, by status; 500's is for the others.
// None says to reload: a response that was posted may have been used up.
var publicTexts = map[int]string{
	http.StatusBadRequest:          "This login cannot be completed. Please start again from the application.",
	http.StatusForbidden:           (&provision.DeniedError{}).Public(),
	http.StatusNotFound:            "There is no login at this address. Please check it, or ask your administrator.",
	http.StatusServiceUnavailable:  "The application is busy. Please wait a moment, then start again from the application.",
	http.StatusInternalServerError: "Something went wrong. Please start again from the application, or ask your administrator.",
}

func newDenial(status int, code string, cause error) *Denial {
	public, ok := publicTexts[status]
	if !ok {
		public = publicTexts[http.StatusInternalServerError]
	}
	return &Denial{ID: rand.Text(), Status: status, Public: public, Code: code, Cause: cause}
}

// classify finds the status and code of an error.
func classify(err error) (status int, code string) {
	var (
		replay      *provision.ReplayError
		denied      *provision.DeniedError
		attribute   *AttributeError
		unavailable *store.UnavailableError
	)
	switch {
	case errors.As(err, &replay):
		return http.StatusBadRequest, CodeReplay
	case errors.As(err, &denied):
		return http.StatusForbidden, string(denied.Code)
	case errors.As(err, &attribute):
		return http.StatusForbidden, CodeAttribute
	case errors.Is(err, provision.ErrNotFound):
		return http.StatusNotFound, CodeConnection
	case errors.As(err, &unavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, CodeUnavailable
	}
	return http.StatusInternalServerError, CodeInternal
}

// Decided reports whether an error of [LoginHandler.Admit], or none, says that the
// person was let in or refused. After any other, such as of a store that is away,
// nothing was used up, and the same message may come again.
func Decided(err error) bool {
	var denied *provision.DeniedError
	return err == nil || errors.As(err, &denied)
}

// retryAfter returns whole seconds (RFC 9110 section 10.2.3), or "" where
// waiting does not help.
func retryAfter(d *Denial) string {
	if d.Status != http.StatusServiceUnavailable {
		return ""
	}
	wait := time.Second
	var unavailable *store.UnavailableError
	if errors.As(d.Cause, &unavailable) {
		wait = max(wait, unavailable.RetryAfter)
	}
	return strconv.Itoa(int(math.Ceil(wait.Seconds())))
}

const page = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Login not possible</title>
</head>
<body>
<h1>Login not possible</h1>
<p>%s</p>
<p>If you ask for help, quote this code: <code>%s</code></p>
</body>
</html>
`

// writePage answers with a page that loads, runs and links nothing.
func (d *Denial) writePage(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(d.Status)
	// The client may be gone; the refusal is in the log.
	_, _ = io.WriteString(w, fmt.Sprintf(page, html.EscapeString(d.Public), html.EscapeString(d.ID)))
}
