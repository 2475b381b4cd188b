package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
)

// people writes the resources of filterTests.
func (s *suite) people(t *testing.T, st store.Store) {
	t.Helper()
	update(t, st, func(tx store.Tx) error {
		var err error
		for i, row := range people {
			r := newResource(row.typ, row.id, row.document, time.Date(2026, 1, 1+i, 12, 0, 0, 0, time.UTC))
			err = all(err, tx.PutResource(r))
			if row.id == "u2" {
				r2 := *r
				r2.Version = 2
				err = all(err, tx.PutResource(&r2))
			}
		}
		// What no identity provider reported is found by no filter.
		_, joined := tx.PutMembership(store.Membership{Group: "g1", Member: "u4", Source: store.SourceOperator, Kind: "User"})
		_, given := tx.PutMembership(store.Membership{Group: "g2", Member: "u4", Source: store.SourceDefault, Kind: "User"})
		return all(err, joined, given, put(tx, "g1", "u1"), put(tx, "g1", "u2"), put(tx, "g2", "u1"), put(tx, "g2", "g1"))
	})
}

var people = []struct{ typ, id, document string }{
	{"User", "u1", `{"userName":"Ann","externalId":"E1","displayName":"Ann A","active":true,"name":{"givenName":"Ann","familyName":"O'Neil"},` +
		`"emails":[{"value":"ann@work.example","type":"work","primary":true},{"value":"ann@home.example","type":"home"}],"title":"100%_a","age":9007199254740993,"score":1.0}`},
	{"User", "u2", `{"userName":"straSSe","externalId":"e1","active":false,"emails":[{"value":"Ann@Home.example","type":"work"}],` +
		`"title":"say \"hi\" \\ \u00fc","age":9007199254740992,"score":-2e3,"birth":"2000-01-01T00:00:00Z"}`},
	{"User", "u3", `{"userName":"bob","displayName":"ann a","active":"true","emails":[{"type":"home"}],"age":"7","score":1e-7,` +
		`"birth":"2000-01-01T01:00:00.000+01:00","urn:x:User":{"department":"R&D","manager":{"value":"u1"}},"tags":["red","Green"]}`},
	{"User", "u4", `{"userName":"Карл","name":{"familyName":"%"},"birth":"1999-12-31T23:59:59.999Z","tags":["blue"],"title":"","nick":null,"phones":[],"empty":{"a":""}}`},
	{"Group", "g1", `{"displayName":"Staff","externalId":"E1"}`},
	{"Group", "g2", `{"displayName":"All"}`},
}

// The constructors below keep the tables short.

func path(t store.ValueType, keys ...string) store.Path { return store.Path{Keys: keys, Type: t} }

func test(op store.Operator, p store.Path, value string) store.Compare {
	return store.Compare{Path: p, Op: op, Value: value}
}

// keyed is an eq on an indexed attribute.
func keyed(attribute, value string) store.Compare {
	info := indexed[attribute]
	c := test(store.EQ, path(store.String, info.path...), value)
	if info.exact {
		c.Path.Type = store.Exact
	}
	c.Key, c.Folded = attribute, folded(attribute, value)
	return c
}

// in compares an indexed attribute with some keys.
func in(attribute string, values ...string) store.In {
	info := indexed[attribute]
	f := store.In{Path: path(store.String, info.path...), Key: attribute}
	if info.exact {
		f.Path.Type = store.Exact
	}
	for _, value := range values {
		f.Keys = append(f.Keys, folded(attribute, value))
	}
	slices.Sort(f.Keys)
	return f
}

func byID(id string) store.Compare { return test(store.EQ, path(store.Exact, "id"), id) }

// emailKeyed is the eq of an e-mail inside a value filter.
func emailKeyed(value string) store.Compare {
	c := keyed("emails.value", value)
	c.Path.Keys = []string{"value"}
	return c
}

var filterTests = []struct {
	name   string
	filter store.Filter
	want   []string
}{
	{"nil", nil, []string{"u1", "u2", "u3", "u4", "g1", "g2"}},
	{"empty and", store.And{}, []string{"u1", "u2", "u3", "u4", "g1", "g2"}},
	{"empty or", store.Or{}, nil},

	{"key", keyed("userName", "ANN"), []string{"u1"}},
	{"key folds", keyed("userName", "STRASSE"), []string{"u2"}},
	{"key folds beyond ASCII", keyed("userName", "КАРЛ"), []string{"u4"}},
	{"key of nobody", keyed("userName", "nobody"), nil},
	{"key is no pattern", keyed("userName", "%"), nil},
	{"exact key of two types", keyed("externalId", "E1"), []string{"u1", "g1"}},
	{"exact key in another case", keyed("externalId", "e1"), []string{"u2"}},
	{"shared key", keyed("displayName", "ANN a"), []string{"u1", "u3"}},
	{"multi-valued key", keyed("emails.value", "ann@home.example"), []string{"u1", "u2"}},
	{"key in an element", store.Any{Path: path(0, "emails"), Filter: store.And{emailKeyed("ann@home.example"),
		test(store.EQ, path(store.String, "type"), "work")}}, []string{"u2"}},
	{"not a key", store.Not{Filter: keyed("userName", "ann")}, []string{"u2", "u3", "u4", "g1", "g2"}},
	{"key ne", func() store.Filter { c := keyed("userName", "ann"); c.Op = store.NE; return c }(), []string{"u2", "u3", "u4", "g1", "g2"}},
	{"key and more", store.And{keyed("displayName", "ann a"), keyed("userName", "bob")}, []string{"u3"}},
	{"key or key", store.Or{keyed("userName", "bob"), keyed("userName", "ann"), keyed("displayName", "ann a")}, []string{"u1", "u3"}},
	{"key or no key", store.Or{keyed("userName", "bob"), test(store.CO, path(store.String, "userName"), "nn")}, []string{"u1", "u3"}},
	{"wrong folded key finds nothing", store.Compare{Path: path(store.String, "userName"), Op: store.EQ, Value: "bob", Key: "userName", Folded: "ann"}, nil},

	{"any of some keys", in("userName", "nobody", "BOB", "ann"), []string{"u1", "u3"}},
	{"any of some keys that names clash with", in("userName", " ANN\u00a0"), []string{"u1"}},
	{"any of some exact keys", in("externalId", "E1", "e1", "%"), []string{"u1", "u2", "g1"}},
	{"any of some multi-valued keys", in("emails.value", "ann@home.example", "nobody"), []string{"u1", "u2"}},
	{"none of some keys", store.Not{Filter: in("userName", "ann", "bob")}, []string{"u2", "u4", "g1", "g2"}},
	{"any of no keys", in("userName"), nil},
	{"any of some keys, and more", store.And{in("userName", "ann", "bob"), keyed("displayName", "ann a"), byID("u3")}, []string{"u3"}},
	{"any of some keys, or more", store.Or{in("userName", "ann", "bob"), byID("g1"), in("externalId", "e1")}, []string{"u1", "u2", "u3", "g1"}},

	{"id", byID("u2"), []string{"u2"}},
	{"id is exact", byID("U2"), nil},
	{"id ne", test(store.NE, path(store.Exact, "id"), "u2"), []string{"u1", "u3", "u4", "g1", "g2"}},
	{"id sw", test(store.SW, path(store.Exact, "id"), "g"), []string{"g1", "g2"}},
	{"id or id", store.Or{byID("g1"), byID("u1"), byID("u1")}, []string{"u1", "g1"}},
	{"id and id", store.And{byID("g1"), byID("u1")}, nil},
	{"id and key", store.And{byID("u1"), keyed("userName", "bob")}, nil},
	{"id is no instant", test(store.LT, path(store.DateTime, "id"), "2026-01-01T00:00:00Z"), nil},
	{"id present", store.Present{Path: path(store.Exact, "id")}, []string{"u1", "u2", "u3", "u4", "g1", "g2"}},

	{"meta.resourceType", test(store.EQ, path(store.Exact, "meta", "resourceType"), "Group"), []string{"g1", "g2"}},
	{"meta.version", test(store.EQ, path(store.Exact, "meta", "version"), `W/"2"`), []string{"u2"}},
	{"meta.created", test(store.EQ, path(store.DateTime, "meta", "created"), "2026-01-02T13:00:00+01:00"), []string{"u2"}},
	{"meta.created gt", test(store.GT, path(store.DateTime, "meta", "created"), "2026-01-04T12:00:00Z"), []string{"g1", "g2"}},
	{"meta.lastModified le", test(store.LE, path(store.DateTime, "meta", "lastModified"), "2026-01-02T13:00:00.000Z"), []string{"u1", "u2"}},
	{"meta present", store.Present{Path: path(0, "meta")}, []string{"u1", "u2", "u3", "u4", "g1", "g2"}},
	{"meta.location is not stored", store.Present{Path: path(store.Exact, "meta", "location")}, nil},

	{"text eq", test(store.EQ, path(store.String, "name", "familyName"), "o'neil"), []string{"u1"}},
	{"text eq with escapes", test(store.EQ, path(store.Exact, "title"), `say "hi" \ ü`), []string{"u2"}},
	{"text ne of absent", test(store.NE, path(store.String, "name", "familyName"), "o'neil"), []string{"u2", "u3", "u4", "g1", "g2"}},
	{"text co", test(store.CO, path(store.String, "userName"), "AS"), []string{"u2"}},
	{"text co is no pattern", test(store.CO, path(store.String, "title"), "0%_"), []string{"u1"}},
	{"text co of a wildcard", test(store.CO, path(store.String, "name", "familyName"), "%"), []string{"u4"}},
	{"text sw", test(store.SW, path(store.String, "displayName"), "A"), []string{"u1", "u3", "g2"}},
	{"text sw exact", test(store.SW, path(store.Exact, "displayName"), "A"), []string{"u1", "g2"}},
	{"text ew", test(store.EW, path(store.String, "userName"), "B"), []string{"u3"}},
	{"text gt", test(store.GT, path(store.String, "userName"), "Bob"), []string{"u2", "u4"}},
	{"text ge", test(store.GE, path(store.String, "userName"), "BOB"), []string{"u2", "u3", "u4"}},
	{"text lt", test(store.LT, path(store.String, "userName"), "bob"), []string{"u1"}},
	{"text le", test(store.LE, path(store.String, "userName"), "bob"), []string{"u1", "u3"}},
	{"extension", test(store.EQ, path(store.String, "urn:x:User", "department"), "r&d"), []string{"u3"}},
	{"nested extension", test(store.EQ, path(store.Exact, "urn:x:User", "manager", "value"), "u1"), []string{"u3"}},
	{"unknown attribute", test(store.EQ, path(store.String, "nothing"), "x"), nil},

	{"boolean eq", test(store.EQ, path(store.Boolean, "active"), "true"), []string{"u1"}},
	{"boolean eq false", test(store.EQ, path(store.Boolean, "active"), "false"), []string{"u2"}},
	{"boolean ne", test(store.NE, path(store.Boolean, "active"), "true"), []string{"u2", "u3", "u4", "g1", "g2"}},
	{"boolean gt", test(store.GT, path(store.Boolean, "active"), "false"), nil},

	{"number beyond 2^53", test(store.EQ, path(store.Number, "age"), "9007199254740993"), []string{"u1"}},
	{"number gt beyond 2^53", test(store.GT, path(store.Number, "age"), "9007199254740992"), []string{"u1"}},
	{"number ge", test(store.GE, path(store.Number, "age"), "9007199254740992"), []string{"u1", "u2"}},
	{"number as text is none", test(store.EQ, path(store.Number, "age"), "7"), nil},
	{"number ne", test(store.NE, path(store.Number, "score"), "1"), []string{"u2", "u3", "u4", "g1", "g2"}},
	{"number eq in another form", test(store.EQ, path(store.Number, "score"), "10e-1"), []string{"u1"}},
	{"number lt", test(store.LT, path(store.Number, "score"), "0.0000002"), []string{"u2", "u3"}},
	{"number le negative", test(store.LE, path(store.Number, "score"), "-2000"), []string{"u2"}},
	{"number has no co", test(store.CO, path(store.Number, "score"), "1"), nil},

	{"dateTime eq across offsets", test(store.EQ, path(store.DateTime, "birth"), "1999-12-31T19:00:00-05:00"), []string{"u2", "u3"}},
	{"dateTime lt", test(store.LT, path(store.DateTime, "birth"), "2000-01-01T00:00:00.000Z"), []string{"u4"}},
	{"dateTime ge", test(store.GE, path(store.DateTime, "birth"), "1999-12-31T23:59:59.999Z"), []string{"u2", "u3", "u4"}},
	{"dateTime gt nothing", test(store.GT, path(store.DateTime, "birth"), "not a time"), nil},

	{"array eq", test(store.EQ, path(store.String, "tags"), "green"), []string{"u3"}},
	{"array ne", test(store.NE, path(store.String, "tags"), "green"), []string{"u1", "u2", "u4", "g1", "g2"}},
	{"element eq", test(store.EQ, path(store.String, "emails", "type"), "home"), []string{"u1", "u3"}},
	{"element ne", test(store.NE, path(store.String, "emails", "type"), "work"), []string{"u3", "u4", "g1", "g2"}},
	{"any ne", store.Any{Path: path(0, "emails"), Filter: test(store.NE, path(store.String, "type"), "work")}, []string{"u1", "u3"}},
	{"any and", store.Any{Path: path(0, "emails"), Filter: store.And{test(store.EQ, path(store.String, "type"), "home"),
		test(store.CO, path(store.String, "value"), "WORK")}}, nil},
	{"any or", store.Any{Path: path(0, "emails"), Filter: store.Or{test(store.EQ, path(store.Boolean, "primary"), "true"),
		store.Not{Filter: store.Present{Path: path(0, "value")}}}}, []string{"u1", "u3"}},
	{"any of a single value", store.Any{Path: path(0, "name"), Filter: test(store.SW, path(store.String, "givenName"), "a")}, []string{"u1"}},
	{"any of meta", store.Any{Path: path(0, "meta"), Filter: test(store.EQ, path(store.Exact, "resourceType"), "Group")}, []string{"g1", "g2"}},
	{"any of texts", store.Any{Path: path(0, "tags"), Filter: store.Not{Filter: store.Present{Path: path(0, "value")}}}, nil},
	{"any has no id", store.Any{Path: path(0, "emails"), Filter: byID("u1")}, nil},
	{"any has no memberships", store.Any{Path: path(0, "emails"), Filter: store.MemberOf{Group: "g1"}}, nil},

	{"present", store.Present{Path: path(0, "name", "givenName")}, []string{"u1"}},
	{"present complex", store.Present{Path: path(0, "name")}, []string{"u1", "u4"}},
	{"present in elements", store.Present{Path: path(0, "emails", "value")}, []string{"u1", "u2"}},
	{"present empty text", store.Present{Path: path(0, "title")}, []string{"u1", "u2"}},
	{"present null", store.Present{Path: path(0, "nick")}, nil},
	{"present empty array", store.Present{Path: path(0, "phones")}, nil},
	{"present object without values", store.Present{Path: path(0, "empty")}, nil},
	{"present false", store.Present{Path: path(0, "active")}, []string{"u1", "u2", "u3"}},
	{"absent", store.Not{Filter: store.Present{Path: path(0, "active")}}, []string{"u4", "g1", "g2"}},

	{"member of", store.MemberOf{Group: "g1"}, []string{"u1", "u2"}},
	{"member of another", store.MemberOf{Group: "g2"}, []string{"u1", "g1"}},
	{"member of any", store.MemberOf{}, []string{"u1", "u2", "g1"}},
	{"member of nothing", store.MemberOf{Group: "nowhere"}, nil},
	{"not a member", store.Not{Filter: store.MemberOf{Group: "g1"}}, []string{"u3", "u4", "g1", "g2"}},
	{"member of both", store.And{store.MemberOf{Group: "g1"}, store.MemberOf{Group: "g2"}}, []string{"u1"}},
	{"member of either", store.Or{store.MemberOf{Group: "g1"}, store.MemberOf{Group: "g2"}}, []string{"u1", "u2", "g1"}},
	{"member with a name", store.And{store.MemberOf{Group: "g2"}, test(store.SW, path(store.String, "displayName"), "st")}, []string{"g1"}},
	{"has member", store.HasMember{Member: "u1"}, []string{"g1", "g2"}},
	{"has any member", store.HasMember{}, []string{"g1", "g2"}},
	{"has a member of an operator", store.HasMember{Member: "u4"}, nil},
	{"has unknown member", store.HasMember{Member: "x"}, nil},
	{"has no member", store.Not{Filter: store.HasMember{}}, []string{"u1", "u2", "u3", "u4"}},
	{"has member or key", store.Or{store.HasMember{Member: "g1"}, keyed("userName", "bob")}, []string{"u3", "g2"}},
}
