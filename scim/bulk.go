package scim

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/scimjit/provision/internal/mount"
	"github.com/scimjit/provision/scim/schema"
)

var bulkMessage = messageKind{"bulk request", "urn:ietf:params:scim:api:messages:2.0:BulkRequest"}

const bulkResponseSchema = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"

// bulkRequest is the body of POST /Bulk (RFC 7644 section 3.7).
type bulkRequest struct {
	message
	FailOnErrors int              `json:"failOnErrors"`
	Operations   []*bulkOperation `json:"Operations"`
}

// bulkOperation is one operation and what became of it.
type bulkOperation struct {
	Method  string          `json:"method"`
	BulkID  string          `json:"bulkId"`
	Version string          `json:"version"`
	Path    string          `json:"path"`
	Data    json.RawMessage `json:"data"`

	target     string   // the bulkId that path names, or empty
	references []string // the bulkIds that data names, each once
	pending    []string // those of them that may not be resolved yet
	done       bool
	id         string // of the resource, once it is known: before done in a circle
	response   *response
	err        error
	reported   *Error // err as the client is told
	began      time.Time
}

// bulk answers POST /Bulk. Each operation is a transaction of its own. They run
// in the order of the request, but an operation that refers to the bulkId of a
// later one waits for it; where operations wait for each other in a circle, the
// first of them is created without its references and completed afterwards. The
// answer lists the operations in the order of the request.
func (x *exchange) bulk([]string) (*response, error) {
	req, err := x.readBulk()
	if err == nil {
		err = x.confirm() // an operation has no answer of its own to who may do nothing
	}
	if err != nil {
		return nil, err
	}
	b := &bulkRun{exchange: x, request: req, byID: map[string]*bulkOperation{}}
	for i, op := range req.Operations {
		if err := b.register(op); err != nil {
			return nil, refuse(schema.CodeBadOperation, "Operations[%d]: %s", i, err)
		}
	}
	b.run()
	return b.answer()
}

func (x *exchange) readBulk() (*bulkRequest, error) {
	limits := x.handler.Limits
	var req bulkRequest
	if err := x.readMessage(bulkMessage, limits.bulkBody(), &req); err != nil {
		return nil, err
	}
	if len(req.Operations) == 0 {
		return nil, refuse(schema.CodeBadOperation, "Operations: there are none")
	}
	if most := limits.bulkOperations(); len(req.Operations) > most {
		return nil, refuse(schema.CodeTooManyOperations, "Operations: more than %d in one bulk request", most)
	}
	return &req, nil
}

// bulkRun is a bulk request being carried out.
type bulkRun struct {
	exchange *exchange
	request  *bulkRequest
	byID     map[string]*bulkOperation
	errors   int
}

// bulkReference finds "bulkId:x" where it is the whole of a JSON string.
var bulkReference = regexp.MustCompile(`"bulkId:([^"\\]+)"`)

// register checks the form of an operation.
func (b *bulkRun) register(op *bulkOperation) error {
	if op == nil {
		return errors.New("is not an object")
	}
	op.Method = strings.ToUpper(op.Method)
	switch op.Method {
	case http.MethodPost:
		if op.BulkID == "" {
			return errors.New("POST needs a bulkId")
		}
	case http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return errors.New("method must be POST, PUT, PATCH or DELETE")
	}
	if op.BulkID != "" {
		if b.byID[op.BulkID] != nil {
			return errors.New("its bulkId is used twice")
		}
		b.byID[op.BulkID] = op
	}
	segments := mount.Split(op.Path)
	if len(segments) > 0 && (segments[0] == "Bulk" || segments[len(segments)-1] == ".search") {
		return errors.New("a bulk or search request inside a bulk request")
	}
	if op.Method != http.MethodDelete && len(op.Data) == 0 {
		return errors.New("data is missing")
	}
	for _, segment := range segments {
		if id, ok := strings.CutPrefix(segment, "bulkId:"); ok {
			op.target = id
		}
	}
	seen := map[string]bool{}
	for _, m := range bulkReference.FindAllSubmatch(op.Data, -1) {
		if id := string(m[1]); !seen[id] {
			seen[id] = true
			op.references = append(op.references, id)
		}
	}
	op.pending = op.references
	return nil
}

// bulkResponse is the answer to POST /Bulk.
type bulkResponse struct {
	Schemas    []string     `json:"schemas"`
	Operations []bulkResult `json:"Operations"`
}

// bulkResult is what became of one operation.
type bulkResult struct {
	Method   string `json:"method"`
	BulkID   string `json:"bulkId,omitempty"`
	Location string `json:"location,omitempty"`
	Version  string `json:"version,omitempty"`
	Status   string `json:"status"`
	Response *Error `json:"response,omitempty"`
}

// answer tells what became of the operations that were carried out.
func (b *bulkRun) answer() (*response, error) {
	results := make([]bulkResult, 0, len(b.request.Operations))
	for _, op := range b.request.Operations {
		if op.done {
			results = append(results, b.result(op))
		}
	}
	return jsonResponse(http.StatusOK, bulkResponse{[]string{bulkResponseSchema}, results})
}

func (b *bulkRun) result(op *bulkOperation) bulkResult {
	r := bulkResult{Method: op.Method, BulkID: op.BulkID, Location: b.location(op)}
	if op.err != nil {
		r.Response = op.reported
		r.Status = strconv.Itoa(r.Response.Status)
		return r
	}
	if r.Status = strconv.Itoa(op.response.status); op.response.version > 0 {
		r.Version = etag(op.response.version)
	}
	return r
}

// location returns the address of an operation's resource. It is empty for a
// POST that failed (RFC 7644 section 3.7.3), and for a path whose bulkId names no
// resource.
func (b *bulkRun) location(op *bulkOperation) string {
	if op.err == nil && op.response.location != "" {
		return op.response.location
	}
	if op.Method == http.MethodPost || op.target != "" && b.unknown(op.target) {
		return ""
	}
	return b.exchange.address(b.resolvePath(op.Path))
}
