package scim_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store/memory"
)

// claimProofs has, for every claim of the service provider's configuration, a
// function that shows it to be true, given the claimed value.
var claimProofs = map[string]func(*service, any){
	"patch.supported":     (*service).provePatch,
	"bulk.supported":      (*service).proveBulk,
	"bulk.maxOperations":  (*service).proveBulkOperations,
	"bulk.maxPayloadSize": (*service).proveBulkPayload,
	"filter.supported":    (*service).proveFilter,
	"filter.maxResults":   (*service).provePageSize,
	"sort.supported":      (*service).proveSort,
	"etag.supported":      (*service).proveETag,

	"changePassword.supported": (*service).proveNoPassword,

	"pagination.index":                   (*service).proveIndex,
	"pagination.cursor":                  (*service).proveCursor,
	"pagination.defaultPaginationMethod": (*service).proveDefaultMethod,
	"pagination.defaultPageSize":         (*service).proveDefaultPageSize,
	"pagination.maxPageSize":             (*service).provePageSize,
	"pagination.cursorTimeout":           (*service).proveCursorTimeout,

	"authenticationSchemes.oauthbearertoken": (*service).proveBearer,
	"authenticationSchemes.httpbasic":        (*service).proveBasic,
}

// TestClaims proves each claim of the service provider's configuration. A claim
// without a proof fails, and so does a proof without a claim.
func TestClaims(t *testing.T) {
	s := newClaimService(t)
	claims := s.claims()
	if diff := symmetricDifference(claims, claimProofs); len(diff) > 0 {
		t.Errorf("claims without a proof, or proofs without a claim: %s", strings.Join(diff, ", "))
	}
	for claim, prove := range claimProofs {
		t.Run(claim, func(t *testing.T) { prove(newClaimService(t), claims[claim]) })
	}
}

// newClaimService returns a service with limits that are easily reached, three
// users, and a clock.
func newClaimService(t *testing.T) *service {
	t.Helper()
	s := newService(t, memory.New(), "")
	s.handler.(*scim.Handler).Limits = scim.Limits{Count: 2, PageSize: 1, BulkOperations: 2, BulkBody: 1000}
	for _, name := range []string{"cyd", "ada", "bob"} {
		s.must("POST", "/Users", `{"userName":"`+name+`"}`)
	}
	return s
}

// claims returns the configuration as paths with their values. Of an
// authentication scheme its type is the claim.
func (s *service) claims() map[string]any {
	s.t.Helper()
	claims := map[string]any{}
	for key, v := range s.page("/ServiceProviderConfig") {
		switch v := v.(type) {
		case map[string]any:
			for sub, value := range v {
				if key != "meta" {
					claims[key+"."+sub] = value
				}
			}
		case []any:
			for _, e := range v {
				if scheme, ok := e.(map[string]any); ok {
					claims[key+"."+scheme["type"].(string)] = true
				}
			}
		default:
			claims[key] = v
		}
	}
	return claims
}

func symmetricDifference[V, W any](a map[string]V, b map[string]W) []string {
	var diff []string
	for key := range a {
		if _, ok := b[key]; !ok {
			diff = append(diff, key)
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			diff = append(diff, key)
		}
	}
	slices.Sort(diff)
	return diff
}

// page returns the answer to a GET that succeeds.
func (s *service) page(path string) map[string]any {
	s.t.Helper()
	a := s.do("GET", path, acmeToken, "")
	if a.status != http.StatusOK {
		s.t.Fatalf("GET %s: %d %s", path, a.status, a.body)
	}
	return a.json(s.t)
}

// names returns the userNames of a page.
func (s *service) names(path string) []string {
	s.t.Helper()
	var names []string
	for _, e := range s.page(path)["Resources"].([]any) {
		name, _ := e.(map[string]any)["userName"].(string)
		names = append(names, name)
	}
	return names
}

func (s *service) wantNames(path string, want ...string) {
	s.t.Helper()
	if got := s.names(path); !slices.Equal(got, want) {
		s.t.Errorf("GET %s: %v, want %v", path, got, want)
	}
}

func (s *service) wantStatus(want int, method, path, body string, headers ...string) reply {
	s.t.Helper()
	a := s.do(method, path, acmeToken, body, headers...)
	if a.status != want {
		s.t.Errorf("%s %s: %d, want %d: %s", method, path, a.status, want, a.body)
	}
	return a
}

func (s *service) claimed(got, want any) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("the claim is %v, want %v", got, want)
	}
}

func (s *service) provePatch(claim any) {
	s.claimed(claim, true)
	id := s.must("POST", "/Users", `{"userName":"dan"}`)
	a := s.wantStatus(200, "PATCH", "/Users/"+id, `{"Operations":[{"op":"add","path":"title","value":"Cook"}]}`)
	if !strings.Contains(a.body, `"title":"Cook"`) {
		s.t.Error(a.body)
	}
}

const bulkDelete = `{"method":"DELETE","path":"/Users/nobody"}`

func (s *service) proveBulk(claim any) {
	s.claimed(claim, true)
	a := s.wantStatus(200, "POST", "/Bulk", `{"Operations":[`+bulkDelete+`]}`)
	if !strings.Contains(a.body, `"status":"404"`) {
		s.t.Error(a.body)
	}
}

func (s *service) proveBulkOperations(claim any) {
	s.claimed(claim, float64(2))
	s.wantStatus(200, "POST", "/Bulk", `{"Operations":[`+bulkDelete+`,`+bulkDelete+`]}`)
	s.wantStatus(413, "POST", "/Bulk", `{"Operations":[`+bulkDelete+`,`+bulkDelete+`,`+bulkDelete+`]}`)
}

func (s *service) proveBulkPayload(claim any) {
	s.claimed(claim, float64(1000))
	body := `{"Operations":[` + bulkDelete + `]}`
	body += strings.Repeat(" ", 1000-len(body))
	s.wantStatus(200, "POST", "/Bulk", body)
	s.wantStatus(413, "POST", "/Bulk", body+" ")
}

func (s *service) proveFilter(claim any) {
	s.claimed(claim, true)
	s.wantNames("/Users?filter=userName+eq+%22ada%22", "ada")
}

func (s *service) provePageSize(claim any) {
	s.claimed(claim, float64(2))
	s.wantNames("/Users?count=1000", "cyd", "ada")
}

func (s *service) proveSort(claim any) {
	s.claimed(claim, true)
	s.wantNames("/Users?sortBy=userName&count=2", "ada", "bob")
}

func (s *service) proveETag(claim any) {
	s.claimed(claim, true)
	id := s.must("POST", "/Groups", `{"displayName":"Cooks"}`)
	tag := s.wantStatus(200, "GET", "/Groups/"+id, "").header.Get("Etag")
	s.wantStatus(304, "GET", "/Groups/"+id, "", "If-None-Match", tag)
	s.wantStatus(200, "PUT", "/Groups/"+id, `{"displayName":"Chefs"}`, "If-Match", tag)
	s.wantStatus(412, "DELETE", "/Groups/"+id, "", "If-Match", tag)
}

// A password is accepted and dropped: it cannot be changed, and no answer to a
// write has it.
func (s *service) proveNoPassword(claim any) {
	s.claimed(claim, false)
	id := s.must("POST", "/Users", `{"userName":"dan","password":"first-secret"}`)
	a := s.wantStatus(200, "PATCH", "/Users/"+id, `{"Operations":[{"op":"replace","path":"password","value":"second-secret"}]}`)
	if strings.Contains(a.body, "secret") || a.header.Get("Etag") != `W/"1"` {
		s.t.Errorf("%s %s", a.header.Get("Etag"), a.body)
	}
}

func (s *service) proveIndex(claim any) {
	s.claimed(claim, true)
	s.wantNames("/Users?startIndex=2&count=2", "ada", "bob")
}

func (s *service) proveCursor(claim any) {
	s.claimed(claim, true)
	next, _ := s.page("/Users?cursor=&count=2")["nextCursor"].(string)
	s.wantNames("/Users?count=2&cursor="+next, "bob")
}

// Without a cursor parameter, pages are counted from an index.
func (s *service) proveDefaultMethod(claim any) {
	s.claimed(claim, "index")
	page := s.page("/Users")
	if page["startIndex"] != float64(1) || page["nextCursor"] != nil {
		s.t.Errorf("%v", page)
	}
}

func (s *service) proveDefaultPageSize(claim any) {
	s.claimed(claim, float64(1))
	s.wantNames("/Users", "cyd")
}

func (s *service) proveCursorTimeout(claim any) {
	seconds, _ := claim.(float64)
	now := time.Now()
	s.engine.Now = func() time.Time { return now }
	next, _ := s.page("/Users?cursor=")["nextCursor"].(string)
	now = now.Add(time.Duration(seconds)*time.Second - time.Second)
	s.wantNames("/Users?cursor="+next, "ada")
	now = now.Add(time.Second)
	checkError(s.t, s.wantStatus(400, "GET", "/Users?cursor="+next, ""), "expiredCursor", "")
}

func (s *service) proveBearer(claim any) {
	s.claimed(claim, true)
	for token, want := range map[string]int{acmeToken: 200, acmeToken + "x": 401} {
		if a := s.do("GET", "/Users", token, ""); a.status != want {
			s.t.Errorf("token %q: %d, want %d", token, a.status, want)
		}
	}
}

func (s *service) proveBasic(claim any) {
	s.claimed(claim, true)
	secret := provision.Secret{UserName: "idp", Password: "password-of-acme-0123456789abcdef"}
	if _, err := s.engine.Directory("acme").As(provision.Actor{Kind: "operator", ID: "test"}).SetCredential(s.t.Context(), secret, time.Time{}); err != nil {
		s.t.Fatal(err)
	}
	for password, want := range map[string]int{secret.Password: 200, "wrong": 401} {
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(secret.UserName, password)
		if a := s.do("GET", "/Users", "", "", "Authorization", r.Header.Get("Authorization")); a.status != want {
			s.t.Errorf("password %q: %d, want %d", password, a.status, want)
		}
	}
}
