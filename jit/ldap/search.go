package ldap

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	goldap "github.com/go-ldap/ldap/v3"
)

// Pages of a sync. A group may be large, so there are fewer of them in one.
const (
	peoplePage = 1000 // which Active Directory allows (RFC 2696)
	groupsPage = 100
)

// query is a search.
type query struct {
	base       string
	scope      int
	filter     string
	attributes []string
	page       uint32
}

func (q *query) request(controls ...goldap.Control) *goldap.SearchRequest {
	return goldap.NewSearchRequest(q.base, q.scope, goldap.NeverDerefAliases, 0, 0, false, q.filter, q.attributes, controls)
}

// pages reads all entries of a search, page by page, and gives each page to fn while the
// next one is read. It ends without an error only when the server said, with result 0 and
// the control of RFC 2696, that there is no more; every other end means that there may be.
// References to other servers are left out.
func (c *client) pages(ctx context.Context, doing string, q query, fn func([]*goldap.Entry) error) error {
	p := &paging{client: c, doing: doing, seen: map[string]bool{}, query: q}
	page, err := p.next(ctx)
	for err == nil {
		if p.cookie == nil {
			return fn(page)
		}
		var following []*goldap.Entry
		done := make(chan error, 1)
		go func() {
			var err error
			following, err = p.next(ctx)
			done <- err
		}()
		stop := fn(page)
		if stop != nil { // the page that is being read is of no use
			_ = c.guard.Close()
		}
		if err = <-done; stop != nil {
			return stop
		}
		page = following
	}
	return err
}

// paging is a search in pages.
type paging struct {
	client *client
	doing  string
	query  query
	cookie []byte          // of the next page; nil at the beginning and at the end
	seen   map[string]bool // DNs with which pages began
	empty  bool            // the page before was
}

// next reads the next page.
func (p *paging) next(ctx context.Context) ([]*goldap.Entry, error) {
	// A server that does not know the control must not answer at all.
	control := &criticalPaging{goldap.NewControlPaging(p.query.page)}
	control.SetCookie(p.cookie)
	result, err := p.client.search(ctx, p.doing, p.query.request(control))
	if err != nil {
		return nil, err
	}
	wrong := func(reason string) error {
		return &Error{Code: CodePaging, Server: p.client.host.address, Reason: p.doing + ": " + reason}
	}
	answer, ok := goldap.FindControl(result.Controls, goldap.ControlTypePaging).(*goldap.ControlPaging)
	if !ok {
		return nil, wrong("the server does not say whether its answer is complete")
	}
	// Each page but one that is empty brings entries that no other began with, so this ends
	// when they do. Cookies do not tell: in 389 Directory Server all pages of a search have
	// the same.
	none, again := len(result.Entries) == 0, false
	if !none {
		begin := result.Entries[0].DN
		again, p.seen[begin] = p.seen[begin], true
	}
	last := len(answer.Cookie) == 0
	if again || none && p.empty && !last {
		return nil, wrong("the server gives the same page again")
	}
	p.empty, p.cookie = none, nil
	if !last {
		p.cookie = answer.Cookie
	}
	return result.Entries, nil
}

// search is one operation. The library returns no error only after the final result with
// code 0.
func (c *client) search(ctx context.Context, doing string, request *goldap.SearchRequest) (result *goldap.SearchResult, err error) {
	err = c.do(ctx, pageWithin, doing, func() error {
		result, err = c.Search(request)
		return err
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// criticalPaging is the control of RFC 2696, marked as critical.
type criticalPaging struct{ *goldap.ControlPaging }

// Encode implements [goldap.Control].
func (c *criticalPaging) Encode() *ber.Packet {
	p := c.ControlPaging.Encode()
	critical := ber.NewLDAPBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, true, "Criticality")
	out := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "Control")
	for _, child := range []*ber.Packet{p.Children[0], critical, p.Children[1]} {
		out.AppendChild(child)
	}
	return out
}

// find reads the entries of a search that has few, at most limit. more says that there
// were more.
func (c *client) find(ctx context.Context, doing string, q query, limit int) (found []entry, more bool, err error) {
	request := q.request()
	request.SizeLimit = limit + 1
	err = c.do(ctx, answerWithin, doing, func() error {
		result, err := c.Search(request)
		if goldap.IsErrorWithCode(err, goldap.LDAPResultSizeLimitExceeded) && result != nil && len(result.Entries) > limit {
			err = nil // the limit is ours
		}
		if err != nil {
			return err
		}
		for _, e := range result.Entries {
			found = append(found, entry{e})
		}
		return nil
	})
	if len(found) > limit {
		return found[:limit], true, err
	}
	return found, false, err
}

// read reads one entry. Where it is not there, or may not be read, found is false.
func (c *client) read(ctx context.Context, doing, dn string, attributes ...string) (e entry, found bool, err error) {
	list, _, err := c.find(ctx, doing, query{base: dn, scope: goldap.ScopeBaseObject, filter: "(objectClass=*)", attributes: attributes}, 1)
	if goldap.IsErrorWithCode(err, goldap.LDAPResultNoSuchObject) {
		return entry{}, false, nil
	}
	if err != nil || len(list) == 0 {
		return entry{}, false, err
	}
	return list[0], true, nil
}

// rest reads the values of attributes of which Active Directory has sent only a part
// (MS-ADTS section 3.1.1.3.1.3.3): member;range=0-1499, then member;range=1500-* and so on
// until the server says that the part is the last.
//
// All of them together are bounded as an answer is: each part is one of its own.
func (c *client) rest(ctx context.Context, e entry) error {
	all := 0 // bytes
	for i := 0; i < len(e.Attributes); i++ {
		a := e.Attributes[i]
		name, next, part := rangeOf(a.Name)
		for part && next > 0 {
			more, found, err := c.read(ctx, "reading the members of a large group", e.DN, name+";range="+strconv.Itoa(next)+"-*")
			if err != nil {
				return err
			}
			at := 0
			for _, b := range more.attributes(found) {
				other, follows, ok := rangeOf(b.Name)
				if !ok || !strings.EqualFold(other, name) || len(b.ByteValues) == 0 {
					continue
				}
				a.ByteValues = append(a.ByteValues, b.ByteValues...)
				for _, value := range b.ByteValues {
					all += len(value) + overhead
				}
				at = follows
				if follows == 0 {
					at = -1
				}
			}
			if all > maxAnswer {
				return &Error{Code: CodeSizeLimit, Server: c.host.address, Reason: fmt.Sprintf("a group has members of more than %d bytes", maxAnswer)}
			}
			if at == 0 || at > 0 && at <= next {
				return &Error{Code: CodeIncomplete, Server: c.host.address, Reason: "the members of a group end in the middle"}
			}
			next = max(at, 0)
		}
		if part {
			a.Name, a.Values = name, nil
		}
	}
	return nil
}

func (e entry) attributes(found bool) []*goldap.EntryAttribute {
	if !found {
		return nil
	}
	return e.Attributes
}
