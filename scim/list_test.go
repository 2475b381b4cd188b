package scim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/scim"
)

// listed is a list response.
type listed struct {
	Total     int    `json:"totalResults"`
	Start     int    `json:"startIndex"`
	Items     int    `json:"itemsPerPage"`
	Previous  string `json:"previousCursor"`
	Next      string `json:"nextCursor"`
	Resources []struct {
		ID string `json:"id"`
	} `json:"Resources"`
}

// pageBelow asks for a page and checks that it is as large as the limit at most,
// unless it has one resource, and says how many it has.
func (s *service) pageBelow(path string, limit int) (p listed, ids []string) {
	s.t.Helper()
	a := s.do("GET", path, acmeToken, "")
	if a.status != http.StatusOK {
		s.t.Fatalf("GET %s: %d %s", path, a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
	length := itoa(len(a.body))
	if p.Items == 1 && strings.Contains(a.body, `"members":[`) {
		length = "" // its members are read while they are written
	}
	if p.Items != len(p.Resources) || a.header.Get("Content-Length") != length && a.header.Get("Content-Length") != itoa(len(a.body)) {
		s.t.Errorf("GET %s: itemsPerPage %d of %d resources, Content-Length %s of %d", path, p.Items, len(p.Resources), a.header.Get("Content-Length"), len(a.body))
	}
	if at := strings.Index(a.body, `"Resources":`); len(a.body)-at > limit+16 && p.Items != 1 {
		s.t.Errorf("GET %s: %d resources in %d bytes", path, p.Items, len(a.body)-at)
	}
	for _, r := range p.Resources {
		ids = append(ids, r.ID)
	}
	return p, ids
}

// TestPagesAreCutShort walks lists whose pages do not fit in the limit of answers,
// by index and by cursor in both directions: each resource is met once, in order.
func TestPagesAreCutShort(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			s := newService(t, open(t), "rfc")
			handler, _ := s.handler.(*scim.Handler)
			handler.Limits.Rate = -1
			var members []string
			for i, size := range []int{10, 3000, 20, 20, 9000, 10, 10, 4000, 10, 600, 600, 600} {
				id := s.must("POST", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"u%02d","title":"%s"}`, i*5%12, strings.Repeat("x", size)))
				members = append(members, `{"value":"`+id+`"}`)
			}
			for i, n := range []int{0, 12, 1, 5, 12, 12} {
				s.must("POST", "/Groups", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"g%d","members":[%s]}`, i, strings.Join(members[:n], ",")))
			}
			for _, path := range []string{
				"/Users?", "/Groups?", "/?", "/Users?attributes=userName&", "/Users?excludedAttributes=groups&",
				"/Users?sortBy=userName&sortOrder=descending&", "/Users?filter=" + url.QueryEscape("userName pr") + "&", "/Groups?filter=" + url.QueryEscape("members pr") + "&sortBy=displayName&",
			} {
				handler.Limits.Answer = 0
				whole, want := s.pageBelow(path+"count=100", 8<<20)
				if whole.Total != len(want) {
					t.Fatalf("GET %s: %d of %d", path, len(want), whole.Total)
				}
				for _, handler.Limits.Answer = range []int{1, 2500, 6000, 12_000} {
					for _, count := range []int{2, 100} {
						s.walkCut(fmt.Sprintf("%scount=%d&", path, count), handler.Limits.Answer, want)
					}
				}
			}
		})
	}
}

func (s *service) walkCut(path string, limit int, want []string) {
	s.t.Helper()
	var byIndex []string
	for len(byIndex) < len(want) {
		p, ids := s.pageBelow(fmt.Sprintf("%sstartIndex=%d", path, len(byIndex)+1), limit)
		if len(ids) == 0 || p.Total != len(want) || p.Start != len(byIndex)+1 {
			s.t.Fatalf("GET %s: at %d of %d: %+v", path, len(byIndex)+1, len(want), p)
		}
		byIndex = append(byIndex, ids...)
	}
	if diff := cmp.Diff(want, byIndex); diff != "" {
		s.t.Errorf("GET %s, %d bytes, by index (-want +got):\n%s", path, limit, diff)
	}

	p, forward := s.pageBelow(path+"cursor=", limit)
	for p.Next != "" {
		var ids []string
		p, ids = s.pageBelow(path+"cursor="+p.Next, limit)
		forward = append(forward, ids...)
	}
	if diff := cmp.Diff(want, forward); diff != "" {
		s.t.Errorf("GET %s, %d bytes, by cursor (-want +got):\n%s", path, limit, diff)
	}
	backward := [][]string{}
	for p.Previous != "" {
		var ids []string
		p, ids = s.pageBelow(path+"cursor="+p.Previous, limit)
		backward = append([][]string{ids}, backward...)
	}
	if back := slices.Concat(backward...); !slices.Equal(back, want[:len(back)]) || len(backward) == 0 && limit < 6000 {
		s.t.Errorf("GET %s, %d bytes, backward: %v, want a beginning of %v", path, limit, back, want)
	}
}
