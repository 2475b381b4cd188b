package scim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision/internal/mount"
)

// run carries the operations out until all are done or failOnErrors is reached.
func (b *bulkRun) run() {
	for {
		progress, waiting := false, false
		for _, op := range b.request.Operations {
			if op.done {
				continue
			}
			if b.stopped() {
				b.undoUnfinished()
				return
			}
			if b.waitsFor(op) != nil {
				waiting = true
				continue
			}
			progress = true
			b.exchange.pace.GiveWay()
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

// waitsFor returns an operation that must come before another, or nil. A
// reference needs the id of a resource; a path needs the resource as it was asked
// for, since completing it later would undo what was done to it.
func (b *bulkRun) waitsFor(op *bulkOperation) *bulkOperation {
	if t := b.byID[op.target]; t != nil && !t.done {
		return t
	}
	for len(op.pending) > 0 {
		if r := b.byID[op.pending[0]]; r != nil && !r.done && r.id == "" {
			return r
		}
		op.pending = op.pending[1:] // it never becomes pending again
	}
	return nil
}

// missing returns a reference of an operation that cannot be resolved.
func (b *bulkRun) missing(op *bulkOperation) (string, bool) {
	if op.target != "" && b.unknown(op.target) {
		return op.target, true
	}
	if i := slices.IndexFunc(op.references, b.unknown); i >= 0 {
		return op.references[i], true
	}
	return "", false
}

// unknown reports whether a bulkId names no resource, or none yet.
func (b *bulkRun) unknown(id string) bool { return b.byID[id] == nil || b.byID[id].id == "" }

// perform carries out one operation whose references are resolved, or never
// will be.
func (b *bulkRun) perform(op *bulkOperation) {
	if id, bad := b.missing(op); bad {
		b.undo(op)
		b.finish(op, b.exchange, nil, refuse(codeUnknownBulkID, "bulkId %q names no operation that succeeded", id))
		return
	}
	if op.id != "" { // the second half of a circle
		b.complete(op)
		return
	}
	x := b.exchange.operation(op.Method, b.resolve(op.Data), op.Version)
	op.began = time.Now()
	resp, err := x.dispatch(mount.Split(b.resolvePath(op.Path)))
	b.finish(op, x, resp, err)
}

// breakCircle creates a resource of a circle without the values that refer to
// what does not exist yet. A circle that creates nothing cannot be broken: its
// first operation fails.
func (b *bulkRun) breakCircle() {
	circle := b.circle()
	for _, op := range circle {
		if op.Method == http.MethodPost && op.id == "" && op.target == "" {
			b.begin(op)
			return
		}
	}
	b.undo(circle[0])
	b.finish(circle[0], b.exchange, nil, refuse(codeBulkCircle, "its references and those of other operations cannot be resolved in any order"))
}

// circle returns operations of which each waits for the next, and the last for
// the first. Every operation that is not done waits for another.
func (b *bulkRun) circle() []*bulkOperation {
	var path []*bulkOperation
	position := map[*bulkOperation]int{}
	op := b.request.Operations[slices.IndexFunc(b.request.Operations, func(op *bulkOperation) bool { return !op.done })]
	for {
		if i, seen := position[op]; seen {
			return path[i:]
		}
		position[op] = len(path)
		path = append(path, op)
		op = b.waitsFor(op)
	}
}

// begin creates a resource without the values whose references are not
// resolved.
func (b *bulkRun) begin(op *bulkOperation) {
	x := b.exchange.operation(op.Method, b.resolve(b.without(op.Data)), "")
	op.began = time.Now()
	resp, err := x.dispatch(mount.Split(op.Path))
	if err != nil {
		b.finish(op, x, nil, err)
		return
	}
	op.id, op.response = responseID(resp), resp
}

// complete writes the whole data of an operation that was begun. When that
// fails, the created resource is removed again.
func (b *bulkRun) complete(op *bulkOperation) {
	created := op.response
	x := b.followUp(http.MethodPut, b.resolve(op.Data))
	resp, err := x.dispatch(mount.Split(b.begun(op)))
	if err != nil {
		b.undo(op)
		b.finish(op, x, nil, err)
		return
	}
	resp.status, resp.location = created.status, created.location
	b.finish(op, x, resp, nil)
}

// begun returns the path of the resource of an operation that was begun.
func (b *bulkRun) begun(op *bulkOperation) string {
	return strings.Trim(op.Path, "/") + "/" + op.id
}

// undo removes the resource of an operation that was begun and failed, or will
// not be carried out.
func (b *bulkRun) undo(op *bulkOperation) {
	if op.done || op.id == "" {
		return
	}
	path := b.begun(op)
	op.id = ""
	if _, err := b.followUp(http.MethodDelete, nil).dispatch(mount.Split(path)); err != nil {
		b.exchange.handler.logger().Error("undoing a bulk operation", "path", path, "error", err)
	}
}

// followUp returns an exchange that goes on with an operation that was begun.
// Handler.Before has seen that operation.
func (b *bulkRun) followUp(method string, data []byte) *exchange {
	x := b.exchange.operation(method, data, "")
	x.allowed = true
	return x
}

func (b *bulkRun) undoUnfinished() {
	for _, op := range b.request.Operations {
		b.undo(op)
	}
}

// finish notes what became of an operation, by the exchange that carried it out.
func (b *bulkRun) finish(op *bulkOperation, x *exchange, resp *response, err error) {
	op.done, op.response, op.err = true, resp, err
	defer b.noteOperation(op, x)
	if err != nil {
		op.reported = b.exchange.handler.report(b.exchange.request, err)
		b.errors++
		return
	}
	if op.Method == http.MethodPost {
		op.id = responseID(resp)
		return
	}
	if segments := mount.Split(b.resolvePath(op.Path)); len(segments) == 2 {
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
		if b.unknown(string(name)) {
			return match
		}
		return appendText(nil, b.byID[string(name)].id)
	})
}

func (b *bulkRun) resolvePath(path string) string {
	segments := mount.Split(path)
	for i, segment := range segments {
		name, ok := strings.CutPrefix(segment, "bulkId:")
		if ok && b.byID[name] != nil {
			segments[i] = b.byID[name].id
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
		return v, ok && b.unknown(name)
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
			if gone && (strings.EqualFold(key, "value") || strings.EqualFold(key, "$ref")) {
				return nil, true // it says nothing without its reference
			}
			if v[key] = pruned; gone {
				delete(v, key)
			}
		}
		return v, false
	}
	return v, false
}
