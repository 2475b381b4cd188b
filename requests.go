package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scimjit/provision/internal/requestlog"
	"github.com/scimjit/provision/store"
)

// Request is an entry of the request log of a connection: what an identity provider, a
// person who logs in, or a sync has asked, and how it went. It has no header, body or
// password, no value of a query or filter, and no name of a person but what ExternalID says.
type Request struct {
	ID   string    `json:"id"`   // in this connection, in order of time: see [RequestQuery.Before]
	Time time.Time `json:"time"` // UTC, when it began

	// Stranger says that nobody is known to have asked: there was no valid credential, or
	// the message was signed by nobody.
	Stranger bool `json:"stranger,omitempty"`

	// Count is set where only samples are kept: of strangers, and of what was refused with
	// 429. The entry stands for so many requests of about a second that were the same.
	Count int `json:"count,omitempty"`

	Protocol   string         `json:"protocol"`             // "scim", "saml", "ldap" or "sync"
	Credential string         `json:"credential,omitempty"` // id of the credential, where it is known
	Method     string         `json:"method,omitempty"`     // of HTTP, or "sync"
	Path       string         `json:"path,omitempty"`       // below the root of the protocol; query values are masked
	Status     int            `json:"status,omitempty"`     // of HTTP
	Outcome    RequestOutcome `json:"outcome"`
	Type       string         `json:"scimType,omitempty"`
	Code       string         `json:"code,omitempty"`   // why it was refused, or failed: see docs/troubleshooting.md
	Detail     string         `json:"detail,omitempty"` // the same for people; values that the request had are masked

	Microseconds int64 `json:"microseconds,omitempty"` // that it took

	Account    string   `json:"account,omitempty"`    // id of the account, where it is known
	Resource   string   `json:"resource,omitempty"`   // id of the resource, where it is known
	ExternalID string   `json:"externalId,omitempty"` // of somebody who was created or refused
	Tolerances []string `json:"tolerances,omitempty"` // dialect rules that it needed
	Refusal    string   `json:"refusal,omitempty"`    // the id on the page that refused a login, or in the log

	// UserName is what the request is found by, beside its ids, and never read again.
	UserName string `json:"-"`
}

// RequestOutcome is how a request went.
type RequestOutcome string

// The outcomes of requests.
const (
	RequestSucceeded RequestOutcome = RequestOutcome(requestlog.Succeeded)
	RequestRefused   RequestOutcome = RequestOutcome(requestlog.Refused) // something is wrong with what was asked
	RequestFailed    RequestOutcome = RequestOutcome(requestlog.Failed)  // this server, or a source of a sync, is at fault
)

// RequestQuery selects requests: those that fit all of its fields that are set.
type RequestQuery struct {
	// Account, Resource, ExternalID and UserName are a person or a resource by any of
	// the ids, which are completed from what is stored: a request fits that is about it
	// by one of them.
	Account, Resource, ExternalID, UserName string

	Outcome  RequestOutcome
	Protocol string
	Refusal  string // the id of a refusal
	Text     string // a part of any text of the entry, in any case

	Known     bool // of somebody who is known, only
	Strangers bool // of strangers, only

	Since time.Time // from then on
	Until time.Time // before then

	Before string // those older than the request with this ID, or than [RequestPage.Next]
	Limit  int    // at most so many; 0 means 100, and 1,000 is the most
}

// RequestPage is a page of requests, the newest first.
type RequestPage struct {
	Requests []Request `json:"requests"`

	// Next is what to ask Before for the next page; empty where there is none. A page
	// may be short or empty although there is one: no more than 20,000 entries are looked
	// at each time.
	Next string `json:"next,omitempty"`
}

// ErrRequestID says that a text is no id of a request.
var ErrRequestID = errors.New("provision: this is no id of a request")

// Requests returns a page of the request log of the connection, the newest first. In it are
// writes and refusals of whoever is known, logins that were refused, syncs, and samples of
// what strangers sent; requests that only read are counted ([Directory.Traffic]). It has
// what all processes stored: each does about every second, by [Engine.Run] or
// [Plumbing.FlushRequests]. [Engine.RequestRetention] and [Limits.Requests] bound it.
//
// The Directory of "" has what strangers asked of no connection that exists, such as
// requests with an unknown credential. The error is [ErrNotFound] for an unknown connection,
// and [ErrRequestID].
func (d *Directory) Requests(ctx context.Context, q RequestQuery) (page RequestPage, err error) {
	find, err := q.find()
	if err != nil {
		return page, err
	}
	err = d.viewRequests(ctx, func(r store.Reader) error {
		find := find
		if find.Who, err = whoseRequests(r, &q); err != nil {
			return err
		}
		list, next, err := find.Search(r)
		if err != nil {
			return err
		}
		page = RequestPage{Requests: make([]Request, len(list))}
		for i, e := range list {
			page.Requests[i] = requestOf(e)
		}
		if next != 0 {
			page.Next = requestlog.ID(next)
		}
		return nil
	})
	return page, err
}

// Request returns one request of the log by its ID. The error is [ErrNotFound] where there
// is none, or no connection.
func (d *Directory) Request(ctx context.Context, id string) (out Request, err error) {
	number, ok := requestlog.ParseID(id)
	if !ok {
		return out, notFound("request", id)
	}
	err = d.viewRequests(ctx, func(r store.Reader) error {
		e, err := requestlog.ReadEntry(r, number)
		if err == nil {
			out = requestOf(e)
		}
		return err
	})
	return out, err
}

// viewRequests is view for what is kept of "" too.
func (d *Directory) viewRequests(ctx context.Context, fn func(store.Reader) error) error {
	return d.engine.store().View(ctx, d.connection, func(_ context.Context, r store.Reader) error {
		if d.connection != store.Global {
			if _, err := d.engine.connections.load(d.connection, r); err != nil {
				return err
			}
		}
		return fn(r)
	})
}

const (
	defaultRequests = 100
	mostRequests    = 1000
)

func (q *RequestQuery) find() (requestlog.Find, error) {
	f := requestlog.Find{
		Outcome: requestlog.Outcome(q.Outcome), Protocol: q.Protocol, Refusal: q.Refusal, Text: q.Text,
		Known: q.Known, Strangers: q.Strangers, Since: q.Since, Until: q.Until, Limit: min(orDefault(q.Limit, defaultRequests), mostRequests),
	}
	if q.Before == "" {
		return f, nil
	}
	number, ok := requestlog.ParseID(q.Before)
	if !ok {
		return f, fmt.Errorf("%w: %q", ErrRequestID, q.Before)
	}
	f.Before = number
	return f, nil
}

// whoseRequests returns the keys of whom a query names, or none.
func whoseRequests(r store.Reader, q *RequestQuery) ([]string, error) {
	if q.Account == "" && q.Resource == "" && q.ExternalID == "" && q.UserName == "" {
		return nil, nil
	}
	keys := requestlog.KeysOf(q.Account, q.Resource, q.ExternalID, q.UserName)
	var found []*Account
	one := func(a *Account, err error) error {
		if err == nil {
			found = append(found, a)
		}
		return ignoreMissing(err)
	}
	if q.Account != "" {
		if err := one(r.Account(q.Account)); err != nil {
			return nil, err
		}
	}
	if q.Resource != "" {
		if err := one(r.AccountOf(q.Resource)); err != nil {
			return nil, err
		}
	}
	for _, named := range []store.AccountQuery{{ExternalID: q.ExternalID}, {UserName: q.UserName}} {
		if named.ExternalID == "" && named.UserName == "" {
			continue
		}
		named.Limit = mostNamed
		list, err := r.Accounts(named)
		if err != nil {
			return nil, err
		}
		found = append(found, list...)
	}
	for _, a := range found {
		keys = append(keys, requestlog.KeysOf(a.ID, a.ResourceID, a.ExternalID, "")...)
	}
	more, err := requestlog.KeysOfResources(r, keys)
	return distinct(append(keys, more...)), err
}

// mostNamed is how many accounts with one name are looked at.
const mostNamed = 10

func ignoreMissing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

func distinct(list []string) (out []string) {
	seen := map[string]bool{}
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

func requestOf(e *requestlog.Entry) Request {
	return Request{
		ID: requestlog.ID(e.Number), Time: e.Time, Stranger: e.Stranger, Count: e.Count,
		Protocol: e.Protocol, Credential: e.Credential, Method: e.Method, Path: e.Path, Status: e.Status,
		Outcome: RequestOutcome(e.Outcome()), Type: e.Type, Code: e.Code, Detail: e.Detail, Microseconds: e.Duration.Microseconds(),
		Account: e.Account, Resource: e.Resource, ExternalID: e.ExternalID, Tolerances: e.Tolerances, Refusal: e.Refusal,
	}
}

func entryOf(r *Request) requestlog.Entry {
	return requestlog.Entry{
		Time: r.Time, Stranger: r.Stranger,
		Protocol: r.Protocol, Credential: r.Credential, Method: r.Method, Path: r.Path, Status: r.Status,
		Type: r.Type, Code: r.Code, Detail: r.Detail, Duration: time.Duration(r.Microseconds) * time.Microsecond,
		Account: r.Account, Resource: r.Resource, ExternalID: r.ExternalID, Tolerances: r.Tolerances, Refusal: r.Refusal,
		UserName: r.UserName,
	}
}

// Traffic counts the requests of an hour.
type Traffic struct {
	Hour      time.Time `json:"hour"`      // UTC, its beginning
	Reads     int       `json:"reads"`     // that succeeded
	Writes    int       `json:"writes"`    // that succeeded
	Logins    int       `json:"logins"`    // that succeeded
	Syncs     int       `json:"syncs"`     // that came to their end
	Refused   int       `json:"refused"`   // of whoever is known
	Failed    int       `json:"failed"`    // likewise
	Strangers int       `json:"strangers"` // whatever came of them
	Dropped   int       `json:"dropped"`   // entries that are not in the log, as too many came at once
}

// Traffic returns how many requests came in each hour since a time, of hours in which some
// did, for 30 days. As with [Directory.Requests] the last second may be missing.
func (d *Directory) Traffic(ctx context.Context, since time.Time) (list []Traffic, err error) {
	err = d.viewRequests(ctx, func(r store.Reader) error {
		hours, err := requestlog.ReadTraffic(r, since)
		list = nil
		for _, h := range hours {
			list = append(list, Traffic(h))
		}
		return err
	})
	return list, err
}

// LastRequest is the last of some kind of requests.
type LastRequest struct {
	Time time.Time `json:"time"`
	ID   string    `json:"id,omitempty"`   // of the request, where the log has it
	Code string    `json:"code,omitempty"` // of a refusal or failure
}

// Activity is when a connection was heard of last, by whoever is known to it. What is nil
// never was.
type Activity struct {
	Request *LastRequest `json:"request"` // of any kind, whatever came of it
	Change  *LastRequest `json:"change"`  // a write, a login or a sync that succeeded
	Refusal *LastRequest `json:"refusal"` // or failure
}

// Activity returns when the connection was heard of last.
func (d *Directory) Activity(ctx context.Context) (a Activity, err error) {
	err = d.viewRequests(ctx, func(r store.Reader) error {
		last, err := requestlog.ReadActivity(r)
		a = Activity{Request: lastRequest(last.Request), Change: lastRequest(last.Change), Refusal: lastRequest(last.Refusal)}
		return err
	})
	return a, err
}

func lastRequest(l requestlog.Last) *LastRequest {
	if l.Time.IsZero() {
		return nil
	}
	out := &LastRequest{Time: l.Time, Code: l.Code}
	if l.Number != 0 {
		out.ID = requestlog.ID(l.Number)
	}
	return out
}
