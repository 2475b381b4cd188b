package scim

import (
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/scimjit/provision/store"
)

// etag returns the entity tag of a version (RFC 7644 section 3.14).
func etag(version int64) string { return `W/"` + strconv.FormatInt(version, 10) + `"` }

// entityTag returns the entity tag of an answer about a resource, which is its
// meta.version too: the version, and a digest of the groups where they are in the
// answer, since those change without the version of the user.
func (p projection) entityTag(r *store.Resource) string {
	digest, has := p.groupsDigest(r)
	if !has {
		return etag(r.Version)
	}
	tag := strconv.AppendInt(append(make([]byte, 0, 40), `W/"`...), r.Version, 10)
	tag = strconv.AppendUint(append(tag, '-'), digest, 36)
	return string(append(tag, '"'))
}

// appendTag writes the entity tag of an answer as a JSON string.
func (p projection) appendTag(b []byte, r *store.Resource) []byte {
	b = append(b, `"W/\"`...)
	b = strconv.AppendInt(b, r.Version, 10)
	if digest, has := p.groupsDigest(r); has {
		b = append(b, '-')
		b = strconv.AppendUint(b, digest, 36)
	}
	return append(b, `\""`...)
}

// groupsDigest returns a digest of the groups in an answer, if there are any.
func (p projection) groupsDigest(r *store.Resource) (uint64, bool) {
	if p.parts&store.WithGroups == 0 || len(r.Groups) == 0 {
		return 0, false
	}
	groups := reported(r.Groups)
	digest := fnv.New64a()
	var one [128]byte
	for _, g := range groups {
		text := append(append(one[:0], g.Group...), 0)
		text = append(append(text, g.Display...), 0)
		_, _ = digest.Write(text) // a hash does not fail
	}
	return digest.Sum64(), len(groups) > 0
}

// matchesTag reports whether a list of entity tags names one; they are compared
// weakly, and "*" names every one (RFC 9110 section 13.1).
func matchesTag(headers []string, tag string) bool {
	return anyTag(headers, func(sent string) bool { return sent == strings.TrimPrefix(tag, "W/") })
}

// matchesVersion is matchesTag for a write, which changes the document alone: of a
// tag it compares the version.
func matchesVersion(headers []string, version int64) bool {
	want := strings.TrimPrefix(etag(version), "W/")
	return anyTag(headers, func(sent string) bool {
		if before, _, digest := strings.Cut(sent, "-"); digest && strings.HasSuffix(sent, `"`) {
			sent = before + `"`
		}
		return sent == want
	})
}

func anyTag(headers []string, match func(string) bool) bool {
	for _, header := range headers {
		for tag := range strings.SplitSeq(header, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || match(strings.TrimPrefix(tag, "W/")) {
				return true
			}
		}
	}
	return false
}
