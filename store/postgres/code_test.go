package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

// TestClassify checks what the codes of the server mean.
func TestClassify(t *testing.T) {
	for _, test := range []struct {
		code        string
		lost        bool
		unavailable bool
		again       bool
	}{
		{"40001", false, true, true},
		{"40P01", false, true, true},
		{"57014", false, true, true},
		{"55P03", false, true, false},
		{"53100", false, true, false},
		{"53200", false, true, false},
		{"53300", true, true, true},
		{"57P01", true, true, true},
		{"57P03", true, true, true},
		{"08006", true, true, true},
		{"25006", false, true, true},
		{"25P03", true, true, true},
		{"23505", false, false, false},
		{"42P01", false, true, false},
		{"42501", false, true, false},
		{"42703", false, true, false},
		{"26000", false, false, false},
		{"", true, true, true},
		{"", false, false, false},
	} {
		cause := errors.New("an error without a code")
		if test.code != "" {
			cause = &pgconn.PgError{Code: test.code, Message: "a message", InternalQuery: "SELECT", Where: "SELECT"}
		}
		err := postgres.Classify(cause, test.lost)
		var away *store.UnavailableError
		if errors.As(err, &away) != test.unavailable || postgres.RunAgain(err) != test.again {
			t.Errorf("%q, lost: %t: %v, again: %t", test.code, test.lost, err, postgres.RunAgain(err))
		}
		if !errors.Is(err, cause) {
			t.Errorf("%q: %v has no cause", test.code, err)
		}
	}
}

// TestClassifyTime checks that the time of a statement is not taken for that of a caller.
func TestClassifyTime(t *testing.T) {
	err := postgres.Classify(fmt.Errorf("timeout: %w", context.DeadlineExceeded), true)
	unavailable(t, "a statement that took too long", err)
	if errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is the end of a context", err)
	}
}

// TestPostgreSQLCodes lets the server fail an INSERT some times. Numbers that a failed
// transaction took are taken again.
func TestPostgreSQLCodes(t *testing.T) {
	db := newDatabase(t)
	conn := db.connect(t)
	config := db.config()
	s := open(t, config)
	if err := s.Update(t.Context(), "acme", appendEvent); err != nil {
		t.Fatal(err)
	}
	execute(t, conn, `CREATE SEQUENCE failures`) // it is not rolled back
	execute(t, conn, `CREATE TABLE fail (code text, times int)`)
	execute(t, conn, `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
		DECLARE f record; BEGIN
			SELECT * INTO f FROM fail;
			IF nextval('failures') <= f.times THEN RAISE EXCEPTION 'injected' USING ERRCODE = f.code; END IF;
			RETURN new;
		END $$`)
	execute(t, conn, fmt.Sprintf(`CREATE TRIGGER fail BEFORE INSERT ON %s.provision_events FOR EACH ROW EXECUTE FUNCTION fail()`, config.Schema))
	last := int64(1)
	for _, test := range []struct {
		code        string
		times, runs int
		succeeds    bool
		unavailable bool
	}{
		{"40001", 2, 3, true, false},
		{"40P01", 1, 2, true, false},
		{"57014", 1, 2, true, false},
		{"25006", 1, 2, true, false},
		{"40001", 99, 4, false, true},
		{"53100", 99, 1, false, true},
		{"55P03", 99, 1, false, true},
		{"23514", 99, 1, false, false},
		{"00000", 0, 1, true, false},
	} {
		execute(t, conn, `TRUNCATE fail`)
		execute(t, conn, `INSERT INTO fail VALUES ($1, $2)`, test.code, test.times)
		execute(t, conn, `ALTER SEQUENCE failures RESTART`)
		runs := 0
		err := s.Update(t.Context(), "acme", func(ctx context.Context, tx store.Tx) error {
			runs++
			_ = tx.PutRecord(&store.Record{Kind: "once", Key: test.code, Value: []byte("x")})
			return appendEvent(ctx, tx)
		})
		if runs != test.runs || (err == nil) != test.succeeds {
			t.Errorf("%+v: %d runs, %v", test, runs, err)
		}
		if test.unavailable {
			unavailable(t, test.code, err)
		}
		if test.succeeds {
			last++
		}
		if got := lastEvent(t, s, "acme"); got != last {
			t.Errorf("%+v: %d events, want %d", test, got, last)
		}
	}
}
