package store

import "time"

// Query selects a page of resources.
type Query struct {
	// Types restricts the query to these resource types; empty means all.
	Types []string

	// Filter decides which resources match; nil matches all.
	Filter Filter

	// Sort orders the matches; nil orders them by Position, which is stable
	// under concurrent writes.
	Sort *Sort

	// Offset is how many matches to skip, and Limit how many resources to
	// return at most; a Limit of 0 returns none and only counts.
	Offset int
	Limit  int

	// After, when positive, skips the resources up to this Position. It is
	// ignored with Sort and with From.
	After int64

	// From, when not nil, is a place in the order of the query: the sort key of
	// a resource, which need not exist any more. The page starts behind it or,
	// with Backward, ends before it: the last Limit matches there, still in
	// ascending order. Offset is ignored.
	From     *SortKey
	Backward bool

	// Bytes, when positive, bounds the page: it ends before the resource with which
	// the [Resource.Size] of all, parts included, would be larger, or with Backward
	// begins behind it. A page has at least one resource nevertheless; of the members of
	// any it has only the first [Query.MaxMembers]. A store holds about as much in
	// memory.
	Bytes int

	// With says which parts to load for each resource of the page.
	With Parts

	// ScanRows bounds how many candidates a query may have: the resources that its
	// index terms find, or all of its types where nothing narrows the filter or
	// there is a Sort without one. 0 means 200,000. Without a filter and a sort there
	// are none, since a page of everything is read by index.
	ScanRows int

	// ScanTime bounds how long a query may work, by the monotonic clock; what it waits
	// before it begins does not count. 0 means 2 seconds in [Store.Scan], and any
	// time in [ResourceReader].
	ScanTime time.Duration

	// NoTotal leaves Page.Total unset, for callers that do not need it.
	NoTotal bool
}

// The bounds of Query.ScanRows, and of Query.ScanTime in a scan, where they are 0.
const (
	DefaultScanRows = 200_000
	DefaultScanTime = 2 * time.Second
)

// ScanLook is how many resources a scan may read at most until it looks at its
// context again.
const ScanLook = 256

// MaxMembers returns how many memberships in a group a page has at most: one more than
// Bytes has room for, so that a group with so many is the only one in its page and may
// have more. 0 is no bound.
func (q *Query) MaxMembers() int {
	if q.Bytes <= 0 {
		return 0
	}
	return q.Bytes/MembershipSize + 1
}

// Sort orders resources by one attribute. Resources without a value come last
// when ascending and first when descending (RFC 7644 section 3.4.2.3); equal
// ones keep the order of their Position.
type Sort struct {
	Path       Path
	Descending bool
}

// Page is one page of a query.
type Page struct {
	Resources []*Resource
	Total     int // how many match in all

	// Cut says that Query.Bytes left out a resource that Limit has room for: the
	// results go on behind the page, or with Backward before it.
	Cut bool
}

// AccountQuery selects accounts. Zero fields do not restrict; the others are
// combined with and. Names are given as they are: a store compares them by their
// [NameKey], so that it finds all that clash. Whoever looks for one person compares
// further with [SameName].
type AccountQuery struct {
	UserName   string   // by NameKey
	ExternalID string   // compared exactly
	Email      string   // by NameKey
	Statuses   []string // any of these, as text
	SiteAdmin  bool     // only full site admins
	Unlinked   bool     // only accounts without a resource
	After      string   // only ids greater than this
	Limit      int      // 0: all
}
