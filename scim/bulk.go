package scim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

const (
	bulkRequestSchema  = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	bulkResponseSchema = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
)

// bulkRequest is the body of POST /Bulk (RFC 7644 section 3.7).
type bulkRequest struct {
	Schemas      []string         `json:"schemas"`
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

	references []string // the bulkIds that path and data name
	done       bool
	id         string // of the resource, once it is known
	response   *response
	err        error
}

// bulk answers POST /Bulk. Each operation is a transaction of its own. They run
// in the order of the request, but an operation that refers to the bulkId of a
// later one waits for it; where operations wait for each other in a circle, the
// first of them is created without its references and completed afterwards. The
// answer lists the operations in the order of the request.
func (x *exchange) bulk([]string) (*response, error) {
	req, err := x.readBulk()
	if err != nil {
		return nil, err
	}
	b := &bulkRun{exchange: x, request: req, byID: map[string]*bulkOperation{}}
	for i, op := range req.Operations {
		if err := b.register(op); err != nil {
			return nil, badRequest("invalidSyntax", "operation %d: %s", i+1, err)
		}
	}
	b.run()
	return b.answer()
}

func (x *exchange) readBulk() (*bulkRequest, error) {
	limits := x.handler.Limits
	data, err := x.body(limits.bulkBody())
	if err != nil {
		return nil, err
	}
	if err := x.checkMessage(data); err != nil {
		return nil, err
	}
	var req bulkRequest
	if err := json.Unmarshal(data, &req); err != nil {
		return nil, badRequest("invalidSyntax", "the bulk request has a value of the wrong type")
	}
	if !listed(req.Schemas, bulkRequestSchema) && !x.dialect.LooseFilters {
		return nil, badRequest("invalidSyntax", "schemas must list %s", bulkRequestSchema)
	}
	if len(req.Operations) == 0 {
		return nil, badRequest("invalidSyntax", "the request has no Operations")
	}
	if most := limits.bulkOperations(); len(req.Operations) > most {
		return nil, &Error{Status: http.StatusRequestEntityTooLarge, Detail: "more than " + strconv.Itoa(most) + " operations in one bulk request"}
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
		return &Error{Detail: "is not an object"}
	}
	op.Method = strings.ToUpper(op.Method)
	switch op.Method {
	case http.MethodPost:
		if op.BulkID == "" {
			return &Error{Detail: "POST needs a bulkId"}
		}
	case http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return &Error{Detail: "method must be POST, PUT, PATCH or DELETE"}
	}
	if op.BulkID != "" {
		if b.byID[op.BulkID] != nil {
			return &Error{Detail: "its bulkId is used twice"}
		}
		b.byID[op.BulkID] = op
	}
	if segments := splitPath(op.Path); len(segments) > 0 && segments[0] == "Bulk" {
		return &Error{Detail: "a bulk request inside a bulk request"}
	}
	if op.Method != http.MethodDelete && len(op.Data) == 0 {
		return &Error{Detail: "data is missing"}
	}
	for _, m := range bulkReference.FindAllSubmatch(op.Data, -1) {
		op.references = append(op.references, string(m[1]))
	}
	for _, segment := range splitPath(op.Path) {
		if id, ok := strings.CutPrefix(segment, "bulkId:"); ok {
			op.references = append(op.references, id)
		}
	}
	return nil
}

// run carries the operations out until all are done or failOnErrors is reached.
func (b *bulkRun) run() {
	for {
		progress, waiting := false, false
		for _, op := range b.request.Operations {
			if op.done {
				continue
			}
			if b.stopped() {
				return
			}
			if !b.ready(op) {
				waiting = true
				continue
			}
			progress = true
			b.perform(op)
		}
		switch {
		case !waiting:
			return
		case !progress:
			b.breakCircle()
		}
	}
}

func (b *bulkRun) stopped() bool {
	return b.request.FailOnErrors > 0 && b.errors >= b.request.FailOnErrors
}

// ready reports whether every reference of an operation is resolved, or will
// never be.
func (b *bulkRun) ready(op *bulkOperation) bool {
	for _, id := range op.references {
		if target := b.byID[id]; target != nil && !target.done && target.id == "" {
			return false
		}
	}
	return true
}

// missing returns a reference of an operation that cannot be resolved.
func (b *bulkRun) missing(op *bulkOperation) (string, bool) {
	for _, id := range op.references {
		if target := b.byID[id]; target == nil || target.id == "" {
			return id, true
		}
	}
	return "", false
}

// perform carries out one operation whose references are resolved.
func (b *bulkRun) perform(op *bulkOperation) {
	if id, bad := b.missing(op); bad {
		b.finish(op, nil, badRequest("invalidValue", "bulkId %q names no operation that succeeded", id))
		return
	}
	if op.id != "" && op.Method == http.MethodPost { // the second half of a circle
		b.complete(op)
		return
	}
	x := b.exchange.operation(op.Method, b.resolve(op.Data), op.Version)
	resp, err := x.dispatch(b.resolvePath(op.Path))
	b.finish(op, resp, err)
}

// breakCircle creates the first operation of a circle without the values that
// refer to what does not exist yet.
func (b *bulkRun) breakCircle() {
	for _, op := range b.request.Operations {
		if op.done || op.Method != http.MethodPost || op.id != "" {
			continue
		}
		x := b.exchange.operation(op.Method, b.resolve(b.without(op.Data)), "")
		resp, err := x.dispatch(op.Path)
		if err != nil {
			b.finish(op, nil, err)
			return
		}
		op.id, op.response = responseID(resp), resp
		return
	}
	// Only updates wait, for operations that do not come.
	for _, op := range b.request.Operations {
		if !op.done {
			b.finish(op, nil, &Error{Status: http.StatusConflict, Detail: "the references of the operations cannot be resolved"})
		}
	}
}

// complete writes the whole data of an operation that was created without some
// of its values. When that fails, the created resource is removed again.
func (b *bulkRun) complete(op *bulkOperation) {
	path := strings.Trim(op.Path, "/") + "/" + op.id
	created := op.response
	resp, err := b.exchange.operation(http.MethodPut, b.resolve(op.Data), "").dispatch(path)
	if err != nil {
		if _, undo := b.exchange.operation(http.MethodDelete, nil, "").dispatch(path); undo != nil {
			b.exchange.handler.logger().Error("undoing a bulk operation", "path", path, "error", undo)
		}
		op.id = ""
		b.finish(op, nil, err)
		return
	}
	resp.status, resp.location = created.status, created.location
	b.finish(op, resp, nil)
}

func (b *bulkRun) finish(op *bulkOperation, resp *response, err error) {
	op.done, op.response, op.err = true, resp, err
	if err != nil {
		b.errors++
		return
	}
	if op.Method == http.MethodPost {
		op.id = responseID(resp)
		return
	}
	if segments := splitPath(b.resolvePath(op.Path)); len(segments) == 2 {
		op.id = segments[1]
	}
}

// responseID returns the id of the resource that was created.
func responseID(resp *response) string {
	return resp.location[strings.LastIndexByte(resp.location, '/')+1:]
}

// resolve puts ids in the place of the bulkIds that are known.
func (b *bulkRun) resolve(data []byte) []byte {
	return bulkReference.ReplaceAllFunc(data, func(match []byte) []byte {
		name := match[len(`"bulkId:`) : len(match)-1]
		if target := b.byID[string(name)]; target != nil && target.id != "" {
			return appendText(nil, target.id)
		}
		return match
	})
}

func (b *bulkRun) resolvePath(path string) string {
	segments := splitPath(path)
	for i, segment := range segments {
		name, ok := strings.CutPrefix(segment, "bulkId:")
		if target := b.byID[name]; ok && target != nil {
			segments[i] = target.id
		}
	}
	return strings.Join(segments, "/")
}

// without returns data without the array elements and attributes whose
// references are not resolved.
func (b *bulkRun) without(data []byte) []byte {
	var v any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if dec.Decode(&v) != nil {
		return data
	}
	v, _ = b.prune(v)
	out, err := json.Marshal(v)
	if err != nil {
		return data
	}
	return out
}

// prune returns v without unresolved parts, and whether v itself is one.
func (b *bulkRun) prune(v any) (any, bool) {
	switch v := v.(type) {
	case string:
		name, ok := strings.CutPrefix(v, "bulkId:")
		target := b.byID[name]
		return v, ok && (target == nil || target.id == "")
	case []any:
		kept := make([]any, 0, len(v))
		for _, e := range v {
			if e, gone := b.prune(e); !gone {
				kept = append(kept, e)
			}
		}
		return kept, false
	case map[string]any:
		for key, e := range v {
			pruned, gone := b.prune(e)
			if _, isText := e.(string); gone && isText {
				return nil, true // the value says nothing without its reference
			}
			if v[key] = pruned; gone {
				delete(v, key)
			}
		}
		return v, false
	}
	return v, false
}

// answer encodes what became of the operations that were carried out.
func (b *bulkRun) answer() (*response, error) {
	body := []byte(`{"schemas":["` + bulkResponseSchema + `"],"Operations":[`)
	first := true
	for _, op := range b.request.Operations {
		if !op.done {
			continue
		}
		if !first {
			body = append(body, ',')
		}
		first = false
		var err error
		if body, err = b.appendOperation(body, op); err != nil {
			return nil, err
		}
	}
	return &response{status: http.StatusOK, body: append(body, ']', '}')}, nil
}

func (b *bulkRun) appendOperation(body []byte, op *bulkOperation) ([]byte, error) {
	body = append(body, `{"method":`...)
	body = appendText(body, op.Method)
	if op.BulkID != "" {
		body = append(body, `,"bulkId":`...)
		body = appendText(body, op.BulkID)
	}
	if location := b.location(op); location != "" {
		body = append(body, `,"location":`...)
		body = appendText(body, location)
	}
	if op.err == nil {
		if op.response.etag != "" {
			body = append(body, `,"version":`...)
			body = appendText(body, op.response.etag)
		}
		body = append(body, `,"status":"`+strconv.Itoa(op.response.status)+`"}`...)
		return body, nil
	}
	e := b.exchange.handler.report(b.exchange.request, op.err)
	text, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	body = append(body, `,"status":"`+strconv.Itoa(e.Status)+`","response":`...)
	return append(append(body, text...), '}'), nil
}

// location returns the address of an operation's resource, empty for a POST
// that failed (RFC 7644 section 3.7.3).
func (b *bulkRun) location(op *bulkOperation) string {
	if op.err == nil && op.response.location != "" {
		return op.response.location
	}
	if op.Method == http.MethodPost {
		return ""
	}
	return b.exchange.address(b.resolvePath(op.Path))
}
