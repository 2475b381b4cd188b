package sqlstore

import (
	"time"

	"github.com/scimjit/provision/store"
)

// EncodeAccount returns the stored form of an account.
func EncodeAccount(a *store.Account) (string, error) { return encodeAccount(a) }

// DecodeBareAccount reads it without its groups.
func DecodeBareAccount(data string) (*store.Account, error) { return decodeBareAccount(data) }

// DecodeAccount reads the stored form of an account.
func DecodeAccount(data string) (*store.Account, error) { return decodeAccount(data) }

// Composed returns the statements that are made of parts when the program starts.
func Composed() map[string][]string {
	return map[string][]string{
		"insertKeys":      insertKeys[:],
		"holders":         append(holders[0][1:], holders[1][:]...),
		"resourceQueries": append(resourceQueries[0][:], resourceQueries[1][:]...),
	}
}

// Note makes places remember that the first resources of a scope end somewhere.
func Note(p *Places, scope any, mark int64, rank int, now time.Time) {
	p.note(listed{scope, "User"}, mark, place{rank, int64(rank) * 10, now})
}

// Find returns how many resources end at the last place before an offset, and the mark.
func Find(p *Places, scope any, offset int, now time.Time) (rank int, mark int64) {
	best, mark := p.find(listed{scope, "User"}, offset, now)
	return best.rank, mark
}

// Held returns how many lists places know.
func Held(p *Places) int { return len(p.of) }
