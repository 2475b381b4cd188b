package sqlite

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/scimjit/provision/store/internal/sqlstore"
)

// lists makes a statement that looks lists up one of SQLite, which has no arrays: the
// argument becomes JSON. A position is the rowid, and so is found without an index; the
// signs keep SQLite from reading the whole scope instead.
var lists = strings.NewReplacer(
	`r.scope = ? AND r.position = ANY (?)`, `+r.scope = ? AND r.position IN (SELECT value FROM json_each(?))`,
	sqlstore.ResourcesThrough, `+`+sqlstore.ResourcesThrough,
	`= ANY (?)`, `IN (SELECT value FROM json_each(?))`,
)

// bind makes the arguments of a statement those of SQLite.
func bind(args []any) {
	for i, arg := range args {
		switch list := arg.(type) {
		case []string:
			args[i] = jsonTexts(list)
		case []int64:
			args[i] = jsonNumbers(list)
		}
	}
}

// jsonTexts returns a JSON array of texts.
func jsonTexts(texts []string) string {
	if len(texts) == 0 {
		return "[]"
	}
	list, err := json.Marshal(texts)
	if err != nil {
		return "[]" // a list of texts always marshals
	}
	return string(list)
}

// jsonNumbers returns a JSON array of numbers.
func jsonNumbers(numbers []int64) string {
	if len(numbers) == 0 {
		return "[]"
	}
	list := make([]byte, 0, 8*len(numbers)+2)
	for _, n := range numbers {
		list = append(list, ',')
		list = strconv.AppendInt(list, n, 10)
	}
	list[0] = '['
	return string(append(list, ']'))
}
