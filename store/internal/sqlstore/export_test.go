package sqlstore

import "github.com/scimjit/provision/store"

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
