package saml_test

import (
	"bytes"
	"compress/flate"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// generate makes the messages that are too large to keep. All but the bomb are
// a good response, in whose unsigned part something is added.
func generate(t *testing.T, name string) []byte {
	t.Helper()
	if depth, ok := strings.CutPrefix(name, "depth-"); ok {
		n, err := strconv.Atoi(depth)
		if err != nil {
			t.Fatal(err)
		}
		inside := n - 1 // below the root
		return insert(t, strings.Repeat("<x>", inside)+strings.Repeat("</x>", inside))
	}
	switch name {
	case "deflate-bomb":
		return deflate(t, bytes.Repeat([]byte(" "), 32<<20))
	case "plain-150-kib":
		return insert(t, strings.Repeat(" ", 150<<10))
	case "plain-300-kib":
		return insert(t, strings.Repeat(" ", 300<<10))
	case "plain-20-mb":
		return insert(t, strings.Repeat(" ", 20<<20))
	}
	t.Fatalf("nobody knows how to generate %q", name)
	return nil
}

func insert(t *testing.T, text string) []byte {
	t.Helper()
	good := readFile(t, filepath.Join(attacksPath, "valid-assertion-signed.xml"))
	before, after, ok := bytes.Cut(good, []byte("<samlp:Status>"))
	if !ok {
		t.Fatal("no Status")
	}
	return slices.Concat(before, []byte(text+"<samlp:Status>"), after)
}

func deflate(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
