package saml

import (
	"errors"
	"fmt"
)

// Code says which rule refused a response. It is for logs and metrics; a
// browser never sees it.
type Code string

// The codes of [Error]. What package jit or the store refuses has their codes.
const (
	CodeRequest           Code = "request"             // the HTTP request is not a SAML response
	CodeTooLarge          Code = "too_large"           // more than Limits.Body
	CodeDocument          Code = "document"            // not a Response, or XML that SAML has no use for
	CodeVersion           Code = "version"             // not SAML 2.0
	CodeStatus            Code = "status"              // the identity provider reports a failure
	CodeAssertions        Code = "assertions"          // not exactly one assertion
	CodeShape             Code = "shape"               // something in an unexpected place, as when a signature is wrapped
	CodeAlgorithm         Code = "algorithm"           // an algorithm that is not allowed
	CodeSignature         Code = "signature"           // not signed by the identity provider
	CodeDecryption        Code = "decryption"          // cannot be decrypted
	CodeCertificate       Code = "certificate"         // no certificate of the identity provider is valid now
	CodeAssertionTooLarge Code = "assertion_too_large" // see ErrAssertionTooLarge
	CodeIssuer            Code = "issuer"              // of another identity provider
	CodeDestination       Code = "destination"         // sent to another address
	CodeRecipient         Code = "recipient"           // confirmed for another address
	CodeAudience          Code = "audience"            // for another service provider
	CodeExpired           Code = "expired"             // too late
	CodeNotYetValid       Code = "not_yet_valid"       // too early
	CodeTime              Code = "time"                // a time that is none
	CodeConfirmation      Code = "confirmation"        // the subject is not confirmed as a bearer
	CodeAuthn             Code = "authn"               // not authenticated in one of the ways that are asked for, or not again
	CodeConditions        Code = "conditions"          // a condition that is not understood
	CodeLifetime          Code = "lifetime"            // valid for longer than a day
	CodeNoRequest         Code = "no_request"          // an answer, but this browser has no open request for it
	CodeInResponseTo      Code = "in_response_to"      // the answer to another request than that of its RelayState
	CodeUnsolicited       Code = "unsolicited"         // nobody asked, and the connection does not allow that
	CodeNameID            Code = "name_id"             // no usable subject
	CodeConnection        Code = "connection"          // unknown, disabled or without SAML
	CodeConfiguration     Code = "configuration"       // settings that do not work
	CodeInternal          Code = "internal"            // a fault of this package or of a library
)

// ErrAssertionTooLarge says that a message has more than 2,500 elements or
// 20,000 attributes, as with more groups than an identity may have. It cannot be
// raised by a setting. Let the identity provider send fewer groups (a filter
// on the group attribute, or only the groups assigned to the application), or
// provision groups by SCIM and leave them out of the assertion.
var ErrAssertionTooLarge = errors.New("the message has too many elements, such as attribute values: " +
	"filter the groups that the identity provider sends, or provision groups by SCIM instead")

// Error is a response that was refused. Its text is for the log: it may hold
// values from the response, which anybody can have written.
type Error struct {
	Code   Code
	Reason string
	Err    error // the cause, if another package found it
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("saml: %s: %s", e.Code, e.detail())
}

// detail is the text without the package and the code.
func (e *Error) detail() string {
	switch {
	case e.Err == nil:
		return e.Reason
	case e.Reason == "":
		return e.Err.Error()
	}
	return e.Reason + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func refuse(code Code, format string, args ...any) error {
	return &Error{Code: code, Reason: fmt.Sprintf(format, args...)}
}
