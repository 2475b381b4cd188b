package ldap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/scimjit/provision/internal/naming"
)

// Code says what is wrong with a directory. Codes are stable.
type Code string

// The codes of an [Error].
const (
	CodeConnect    Code = "ldap_connect"      // no server can be reached
	CodeTLS        Code = "ldap_tls"          // the certificate or the handshake is refused
	CodeNeedsTLS   Code = "ldap_needs_tls"    // the server demands a protected connection
	CodeBind       Code = "ldap_bind"         // the service account is refused
	CodeRights     Code = "ldap_rights"       // the service account may not do that
	CodeBase       Code = "ldap_base"         // a base DN is not there, or may not be read
	CodeEmpty      Code = "ldap_empty"        // the search succeeded and had nobody
	CodePaging     Code = "ldap_paging"       // the server does not page, or pages wrong
	CodeSizeLimit  Code = "ldap_size_limit"   // the server cuts the answer
	CodeTimeLimit  Code = "ldap_time_limit"   // the server or this side gave up waiting
	CodeReferral   Code = "ldap_referral"     // the entries are on another server
	CodeIncomplete Code = "ldap_incomplete"   // the answer ended early
	CodeBusy       Code = "ldap_busy"         // the server says to come later
	CodeResult     Code = "ldap_result"       // any other result code
	CodeSetting    Code = "ldap_setting"      // a setting cannot be used
	CodeConnection Code = "ldap_connection"   // unknown, disabled or without LDAP
	CodePassword   Code = "ldap_password"     // a login: a wrong name or password, or one that may not log in
	CodeThrottled  Code = "ldap_throttled"    // a login: too many wrong passwords
	CodeAmbiguous  Code = "ldap_ambiguous"    // a login: several entries have the name
	CodeRequest    Code = "ldap_request"      // a login: the request is not one
	CodeOrigin     Code = "ldap_cross_origin" // a login: another site sent the form
)

// Error says what went wrong with a directory, in the words of an administrator. It
// holds no password.
type Error struct {
	Code   Code
	Server string // host and port, where one was asked
	Reason string
	Err    error // the cause, such as an [*goldap.Error]; may be nil

	// Diagnostic is what the server added, shortened.
	Diagnostic string
}

// Error implements error.
func (e *Error) Error() string {
	text := "ldap: "
	if e.Server != "" {
		text += e.Server + ": "
	}
	text += e.Reason
	if e.Diagnostic != "" {
		text += fmt.Sprintf(" (the server says %q)", e.Diagnostic)
	} else if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text + " [" + string(e.Code) + "]"
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// SyncCode returns the code for [provision.SyncRun]; see [provision.SyncSource].
func (e *Error) SyncCode() string { return string(e.Code) }

func wrong(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// results are the result codes (RFC 4511 appendix A) that an administrator can do
// something about.
var results = map[uint16]struct {
	code   Code
	reason string
}{
	goldap.LDAPResultTimeLimitExceeded:            {CodeTimeLimit, "the time limit of the server for searches is too low: raise it for the service account"},
	goldap.LDAPResultSizeLimitExceeded:            {CodeSizeLimit, "the size limit of the server cuts the answer: raise it for the service account, also the one over all pages"},
	goldap.LDAPResultStrongAuthRequired:           {CodeNeedsTLS, "the server demands signing: use ldaps:// or StartTLS"},
	goldap.LDAPResultConfidentialityRequired:      {CodeNeedsTLS, "the server demands TLS: use ldaps:// or StartTLS"},
	goldap.LDAPResultReferral:                     {CodeReferral, "the entries are on another server; name that one, since referrals are not followed"},
	goldap.LDAPResultAdminLimitExceeded:           {CodeSizeLimit, "a limit of the server for searches is too low: raise it for the service account"},
	goldap.LDAPResultUnavailableCriticalExtension: {CodePaging, "the server does not page its answers, so nobody knows whether they are complete"},
	goldap.LDAPResultNoSuchObject:                 {CodeBase, "there is no such base DN, or the service account may not see it"},
	goldap.LDAPResultInvalidDNSyntax:              {CodeBase, "the server does not take the base DN for one"},
	goldap.LDAPResultInvalidCredentials:           {CodeBind, "the server refuses the DN or the password of the service account"},
	goldap.LDAPResultInappropriateAuthentication:  {CodeBind, "the service account has no password to log in with"},
	goldap.LDAPResultUnwillingToPerform:           {CodeRights, "the server is unwilling to do that"},
	goldap.LDAPResultInsufficientAccessRights:     {CodeRights, "the service account may not do that"},
	goldap.LDAPResultOperationsError:              {CodeRights, "the server wants a bind first, or failed"},
	goldap.LDAPResultBusy:                         {CodeBusy, "the server is busy"},
	goldap.LDAPResultUnavailable:                  {CodeBusy, "the server is shutting down or not ready"},
	goldap.ErrorNetwork:                           {CodeIncomplete, "the connection was lost"},
	goldap.LDAPResultProtocolError:                {CodeResult, "the server does not understand the request"},
	goldap.LDAPResultInappropriateMatching:        {CodeSetting, "the server cannot search by an attribute of the filter"},
	goldap.LDAPResultInvalidAttributeSyntax:       {CodeSetting, "a value in the filter does not fit its attribute"},
	goldap.LDAPResultUndefinedAttributeType:       {CodeSetting, "the server does not know an attribute of the filter"},
	goldap.ErrorFilterCompile:                     {CodeSetting, "the filter has a mistake"},
	goldap.ErrorEmptyPassword:                     {CodeBind, "the service account has a DN and no password"},
}

// explain makes an error of the library one for administrators. A canceled or expired
// context counts before what it led to.
func explain(ctx context.Context, server, doing string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	var known *Error
	if errors.As(err, &known) {
		if known.Server == "" {
			known.Server = server
		}
		return err
	}
	e := &Error{Code: CodeIncomplete, Server: server, Reason: doing + ": the connection was lost", Err: err}
	if ctx.Err() != nil {
		e.Code, e.Reason, e.Err = CodeTimeLimit, doing+": the server did not answer in time", ctx.Err()
		return e
	}
	var result *goldap.Error
	if !errors.As(err, &result) {
		return e
	}
	if r, ok := results[result.ResultCode]; ok {
		e.Code, e.Reason = r.code, doing+": "+r.reason
	} else {
		e.Code = CodeResult
		e.Reason = fmt.Sprintf("%s: result %d, %s", doing, result.ResultCode, goldap.LDAPResultCodeMap[result.ResultCode])
	}
	if result.ResultCode < goldap.ErrorNetwork && result.Err != nil {
		e.Diagnostic = plain(result.Err.Error())
	}
	return e
}

const maxDiagnostic = 300

// plain returns a text of a server in one line, shortened.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || naming.Control(r) {
			return -1
		}
		return r
	}, text)
	if len(text) > maxDiagnostic {
		text = strings.ToValidUTF8(text[:maxDiagnostic], "") + "..."
	}
	return text
}
