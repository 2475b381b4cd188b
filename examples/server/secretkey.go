package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/scimjit/provision"
)

// The file of the keys that seal secrets has one key a line, 32 bytes in base64. The
// first one seals; the others open what was sealed before it was put there.

const secretKeyBytes = 32

// secretKeyFile says where the keys are kept: in the file of the flag, else beside the
// database file, else (empty) nowhere.
func (o options) secretKeyFile() string {
	switch {
	case o.secretKey != "":
		return o.secretKey
	case o.sqliteFile():
		return o.db + ".secret-key"
	}
	return ""
}

// loadSecretKeys returns the keys that seal secrets. A file that no flag names is made at
// the first start. Without a file there are none for a database that outlives the process:
// what they sealed would be lost.
func loadSecretKeys(o options, logger *slog.Logger) (provision.Secrets, error) {
	file := o.secretKeyFile()
	switch {
	case file != "":
	case isPostgres(o.db):
		return nil, nil
	default:
		return newSecretKeys(freshSecretKey())
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && o.secretKey == "" {
		data = freshSecretKey()
		err = os.WriteFile(file, data, onlyOwner)
	}
	if err != nil {
		return nil, fmt.Errorf("flag -secret-key: %w", err)
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&groupOrOthers != 0 {
		logger.Warn("others than the owner may read the keys that seal secrets", "file", file)
	}
	keys, err := newSecretKeys(data)
	if err != nil {
		return nil, fmt.Errorf("flag -secret-key: %s: %w", file, err)
	}
	return keys, nil
}

// reseal seals all secrets by the first key.
func reseal(ctx context.Context, engine *provision.Engine, stdout io.Writer) error {
	if engine.Secrets == nil {
		return errors.New("flag -reseal needs the keys: use flag -secret-key")
	}
	n, err := engine.ResealSecrets(ctx)
	if err != nil {
		return fmt.Errorf("%d secrets are sealed by the first key; then: %w", n, err)
	}
	_, err = fmt.Fprintf(stdout, "%d secrets are sealed by the first key.\n", n)
	return err
}

func freshSecretKey() []byte {
	key := make([]byte, secretKeyBytes)
	_, _ = rand.Read(key) // it never fails
	return []byte(base64.StdEncoding.EncodeToString(key) + "\n")
}

// newSecretKeys reads the text of such a file. An error does not quote it.
func newSecretKeys(text []byte) (provision.Secrets, error) {
	var keys [][]byte
	for i, line := range strings.Fields(string(text)) {
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(key) != secretKeyBytes {
			return nil, fmt.Errorf("key %d is not 32 bytes in base64, such as openssl rand -base64 32 makes", i+1)
		}
		keys = append(keys, key)
	}
	return provision.NewSecretKeys(keys...)
}
