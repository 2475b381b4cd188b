package scim

import (
	"fmt"
	"net/http"

	"github.com/scimjit/provision/scim/schema"
)

// Refusal is one kind of refusal. Its code ends the detail of every error that
// this package answers, in brackets, and never changes its meaning: programs and
// docs/troubleshooting.md find the cause by it.
type Refusal struct {
	Code   schema.Code
	Status int    // HTTP status
	Type   string // scimType of RFC 7644 section 3.12; empty for none, or where it differs
	Cause  string // what was wrong with the request
}

// Refusals returns the table of all kinds of refusals.
func Refusals() []Refusal { return append([]Refusal(nil), refusals...) }

// The codes of this package, beside those of package schema.
const (
	codeUnauthenticated    schema.Code = "unauthenticated"
	codeTooManyFailures    schema.Code = "too_many_failures"
	codeTooManyRequests    schema.Code = "too_many_requests"
	codeForbidden          schema.Code = "forbidden"
	codeNotLinked          schema.Code = "not_linked"
	codeUnknownEndpoint    schema.Code = "unknown_endpoint"
	codeUnknownResource    schema.Code = "unknown_resource"
	codeBadMethod          schema.Code = "bad_method"
	codeNoMe               schema.Code = "no_me"
	codeNotAUser           schema.Code = "not_a_user"
	codeBadContentType     schema.Code = "bad_content_type"
	codeBadContentEncoding schema.Code = "bad_content_encoding"
	codeTooLarge           schema.Code = "too_large"
	codeCutShort           schema.Code = "cut_short"
	codeBadParameter       schema.Code = "bad_parameter"
	codeFilterNotSupported schema.Code = "filter_not_supported"
	codeFilterTooWide      schema.Code = "filter_too_wide"
	codeTooManyScans       schema.Code = "too_many_scans"
	codeInvalidCursor      schema.Code = "invalid_cursor"
	codeExpiredCursor      schema.Code = "expired_cursor"
	codeNotUnique          schema.Code = "not_unique"
	codeOtherVersion       schema.Code = "other_version"
	codeUnknownMember      schema.Code = "unknown_member"
	codeTooDeepGroups      schema.Code = "too_deep_groups"
	codeTooManyMembers     schema.Code = "too_many_members"
	codeLastSiteAdmin      schema.Code = "last_site_admin"
	codeUnknownBulkID      schema.Code = "unknown_bulk_id"
	codeBulkCircle         schema.Code = "bulk_circle"
	codeBusy               schema.Code = "busy"
	codeCanceled           schema.Code = "canceled"
	codeInternal           schema.Code = "internal_error"
)

var refusals = []Refusal{
	{codeUnauthenticated, http.StatusUnauthorized, "", "the credential is missing, unknown, expired or revoked"},
	{codeTooManyFailures, http.StatusTooManyRequests, "", "an address sent too many wrong credentials"},
	{codeTooManyRequests, http.StatusTooManyRequests, "", "a credential sent too many requests"},
	{codeForbidden, http.StatusForbidden, "", "the application does not allow the operation"},
	{codeNotLinked, http.StatusForbidden, "", "the user resembles an account of the application and may not be linked to it"},
	{codeUnknownEndpoint, http.StatusNotFound, "", "the address is none of this service"},
	{codeUnknownResource, http.StatusNotFound, "", "there is no such resource at this connection"},
	{codeBadMethod, http.StatusMethodNotAllowed, "", "the endpoint does not have the method"},
	{codeNoMe, http.StatusNotImplemented, "", "the service does not know who the client is"},
	{codeNotAUser, http.StatusNotFound, "", "the client is not a user of the directory"},
	{codeBadContentType, http.StatusUnsupportedMediaType, "", "the body is not labeled as JSON"},
	{codeBadContentEncoding, http.StatusUnsupportedMediaType, "", "the body is compressed by something else than gzip"},
	{codeTooLarge, http.StatusRequestEntityTooLarge, "", "the body is too large"},
	{codeCutShort, http.StatusBadRequest, "invalidSyntax", "the body ended early, or is not what gzip writes"},
	{codeBadParameter, http.StatusBadRequest, "invalidValue", "a query parameter has a wrong value"},
	{codeFilterNotSupported, http.StatusForbidden, "", "a discovery endpoint was asked with a filter"},
	{codeFilterTooWide, http.StatusBadRequest, "tooMany", "the filter or the sort has too many resources to look at, or takes too long"},
	{codeTooManyScans, http.StatusServiceUnavailable, "", "the connection has as many requests that look at many resources as it may"},
	{codeInvalidCursor, http.StatusBadRequest, "invalidCursor", "the cursor is not one of this query"},
	{codeExpiredCursor, http.StatusBadRequest, "expiredCursor", "the cursor is too old"},
	{codeNotUnique, http.StatusConflict, "uniqueness", "another resource has the value"},
	{codeOtherVersion, http.StatusPreconditionFailed, "", "the resource has changed since the client read it"},
	{codeUnknownMember, http.StatusBadRequest, "invalidValue", "a member is no user or group of the connection"},
	{codeTooDeepGroups, http.StatusBadRequest, "invalidValue", "a member is a group by which groups would be nested too deep"},
	{codeTooManyMembers, http.StatusRequestEntityTooLarge, "", "the request adds or removes too many members at once"},
	{codeLastSiteAdmin, http.StatusConflict, "", "nobody else would be site admin"},
	{codeUnknownBulkID, http.StatusBadRequest, "invalidValue", "a bulkId names no operation that succeeded"},
	{codeBulkCircle, http.StatusConflict, "", "operations of a bulk request wait for each other"},
	{codeBusy, http.StatusServiceUnavailable, "", "the store is busy or away, or a group of many members changes while a request looks at all of them"},
	{codeCanceled, http.StatusServiceUnavailable, "", "the client went away, or the time was over"},
	{codeInternal, http.StatusInternalServerError, "", "an error of the server, which the log has under the id"},

	{schema.CodeBadJSON, http.StatusBadRequest, "invalidSyntax", "the body is not JSON"},
	{schema.CodeNotAnObject, http.StatusBadRequest, "invalidSyntax", "the body is JSON and not an object"},
	{schema.CodeTooDeep, http.StatusBadRequest, "invalidSyntax", "the body is nested too deeply"},
	{schema.CodeLongString, http.StatusBadRequest, "invalidSyntax", "a string is longer than any may be"},
	{schema.CodeDuplicateKey, http.StatusBadRequest, "invalidSyntax", "a key is there twice, perhaps in another spelling"},
	{schema.CodeMissingSchema, http.StatusBadRequest, "invalidSyntax", "schemas does not list what it must"},
	{schema.CodeWrongType, http.StatusBadRequest, "invalidValue", "a value has another type than its attribute"},
	{schema.CodeBadNumber, http.StatusBadRequest, "invalidValue", "a number is not whole, or has too many digits"},
	{schema.CodeBadTime, http.StatusBadRequest, "invalidValue", "a time is not written as RFC 7643 section 2.3.5 says"},
	{schema.CodeBadBase64, http.StatusBadRequest, "invalidValue", "a value is not base64"},
	{schema.CodeTooLong, http.StatusBadRequest, "invalidValue", "a value that is searched for is longer than 1024 bytes"},
	{schema.CodeBadCharacter, http.StatusBadRequest, "invalidValue", "a name has a character that nobody sees"},
	{schema.CodeRequired, http.StatusBadRequest, "", "a required attribute is missing or would be removed"},
	{schema.CodeSeveralValues, http.StatusBadRequest, "invalidValue", "there are several values where one is expected"},
	{schema.CodeSeveralPrimary, http.StatusBadRequest, "invalidValue", "more than one value is primary"},
	{schema.CodeBadOperation, http.StatusBadRequest, "invalidSyntax", "an operation of a PATCH or bulk request has not the shape of the RFC"},
	{schema.CodeMissingValue, http.StatusBadRequest, "invalidValue", "an operation has no value"},
	{schema.CodeBadPath, http.StatusBadRequest, "invalidPath", "a path does not parse"},
	{schema.CodeUnknownAttribute, http.StatusBadRequest, "", "a path or key names no attribute"},
	{schema.CodeBadFilter, http.StatusBadRequest, "invalidFilter", "a filter does not parse, or compares what cannot be compared"},
	{schema.CodeNoTarget, http.StatusBadRequest, "noTarget", "a path selects nothing"},
	{schema.CodeReadOnly, http.StatusBadRequest, "mutability", "the server makes the attribute"},
	{schema.CodeImmutable, http.StatusBadRequest, "mutability", "the attribute is set once and has a value"},
	{schema.CodeTooManyOperations, http.StatusRequestEntityTooLarge, "", "the request has too many operations"},
	{schema.CodeTooManyElements, http.StatusBadRequest, "tooMany", "the operations look at too many elements"},
	{schema.CodeEmptyMember, http.StatusBadRequest, "invalidValue", "a member has no value"},
}

// refusalOf is the table by code.
var refusalOf = func() map[schema.Code]Refusal {
	rows := make(map[schema.Code]Refusal, len(refusals))
	for _, r := range refusals {
		rows[r.Code] = r
	}
	return rows
}()

// refuse returns an error of a kind that the table has.
func refuse(code schema.Code, format string, args ...any) *Error {
	row := refusalOf[code]
	return &Error{Status: row.Status, Type: row.Type, Code: code, Detail: fmt.Sprintf(format, args...)}
}
