package console_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/console"
	"github.com/scimjit/provision/policy"
)

// saidInTemplates finds the keys that templates say, and saidInCode those in Go files.
var (
	saidInTemplates = regexp.MustCompile(`say "([\w.]+)"`)
	saidInCode      = regexp.MustCompile(`"([\w.]+)"`)
)

// Every key that is said is a word, and every word is said somewhere.
func TestWords(t *testing.T) {
	words := console.Words()
	said := map[string]bool{}
	read := func(pattern string, keys *regexp.Regexp, required bool) {
		t.Helper()
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, name := range names {
			if name == "words.go" || strings.HasSuffix(name, "_test.go") {
				continue
			}
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range keys.FindAllStringSubmatch(string(data), -1) {
				said[m[1]] = true
				if required && words[m[1]] == "" {
					t.Errorf("%s says %q, which is no word", name, m[1])
				}
			}
		}
	}
	read("templates/*.html", saidInTemplates, true)
	read("*.go", saidInCode, false)
	for _, prefix := range []string{"event.", "status.", "mode.", "plan.", "now.", "help.", "action.", "method.", "auth.", "field.", "permission."} {
		for key := range words { // a key that is put together
			said[key] = said[key] || strings.HasPrefix(key, prefix)
		}
	}
	for key := range words {
		if !said[key] {
			t.Errorf("nobody says %q", key)
		}
	}
	for _, key := range []string{
		"succeeded", "refused", "failed", "lastRequest", "lastChange", "lastRefusal",
		"mode." + provision.ModeLive.String(), "mode." + provision.ModeShadow.String(), "mode." + provision.ModePaused.String(), "mode.disabled",
		"status." + string(policy.StatusStaged), "status." + string(policy.StatusActive), "status." + string(policy.StatusDisabled), "status." + string(policy.StatusDeleted),
		"auth." + string(policy.AuthenticationSSO), "auth." + string(policy.AuthenticationPassword), "method.token", "method.basic",
		"plan." + string(provision.PlanCreate), "plan." + string(provision.PlanLink), "plan." + string(provision.PlanConflict), "plan." + string(provision.PlanLeaveOut),
		"plan." + string(provision.PlanReturn), "plan." + string(provision.PlanChange), "plan." + string(provision.PlanLeave),
	} {
		if words[key] == "" {
			t.Errorf("%q is no word", key)
		}
	}
}

// Every type of event has a word.
func TestEventWords(t *testing.T) {
	data, err := os.ReadFile("../store/event.go")
	if err != nil {
		t.Fatal(err)
	}
	types := regexp.MustCompile(`EventType = "([a-z._]+)"`).FindAllStringSubmatch(string(data), -1)
	if len(types) < 20 {
		t.Fatalf("%d types", len(types))
	}
	for _, m := range types {
		if console.Words()["event."+m[1]] == "" {
			t.Errorf("event.%s is no word", m[1])
		}
	}
}
