package scim

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/scimjit/provision/scim/schema"
)

// body reads the request body within the limit of its type. A byte order mark
// before JSON is skipped, as RFC 8259 section 8.1 allows.
func (x *exchange) body(limit int64) ([]byte, error) {
	if x.data != nil {
		return x.data, nil
	}
	if ct := x.request.Header.Get("Content-Type"); ct != "" && !isJSON(ct) {
		return nil, refuse(codeBadContentType, "Content-Type %s: the request body must be application/scim+json or application/json", schema.QuotedText(ct))
	}
	if x.sent == nil {
		data, err := x.decompressed(limit)
		if err != nil {
			return nil, bodyError(err)
		}
		x.sent = data
	}
	return bytes.TrimPrefix(x.sent, []byte("\ufeff")), nil
}

// decompressed reads the body, which may be compressed by gzip (RFC 9110 section
// 8.4.1.3). The limit holds for what is sent and for what comes out of it.
func (x *exchange) decompressed(limit int64) ([]byte, error) {
	n := x.request.ContentLength
	if n > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	reader := http.MaxBytesReader(x.writer, x.request.Body, limit)
	switch coding := strings.ToLower(strings.TrimSpace(strings.Join(x.request.Header["Content-Encoding"], ","))); coding {
	case "gzip", "x-gzip":
		return gunzip(reader, limit)
	case "", "identity":
	default:
		refusal := refuse(codeBadContentEncoding, "Content-Encoding %s: the request body may be compressed by gzip", schema.QuotedText(coding))
		refusal.acceptEncoding = "gzip"
		return nil, refusal
	}
	if n <= 0 {
		return io.ReadAll(reader)
	}
	data := make([]byte, n)
	_, err := io.ReadFull(reader, data)
	return data, err
}

// gunzip decompresses at most limit bytes.
func gunzip(reader io.Reader, limit int64) ([]byte, error) {
	zipped, err := gzip.NewReader(reader)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(zipped, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	return data, err
}

// bodyError is the answer to a request body that could not be read.
func bodyError(err error) error {
	if err == nil {
		return nil
	}
	var tooLarge *http.MaxBytesError
	var answer *Error
	switch {
	case errors.As(err, &tooLarge) || errors.As(err, &answer):
		return err
	case errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum):
		return refuse(codeCutShort, "the request body is not what gzip writes")
	}
	return refuse(codeCutShort, "the request body ended early")
}

// isJSON reports whether a media type is one that RFC 7644 section 3.8 or
// clients use for SCIM.
func isJSON(contentType string) bool {
	if contentType == "application/scim+json" || contentType == "application/json" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/scim+json" || media == "application/json")
}
