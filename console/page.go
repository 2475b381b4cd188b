package console

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
)

// Sizes of the pages of lists.
const (
	pageDefault = 100
	pageMost    = 1000
)

// pager is a list that is read page by page.
type pager interface{ write(*call) error }

// list is a [pager] of rows. It returns at most limit rows behind a place, and the place
// behind the last of them, empty where nothing follows.
type list[T any] func(ctx context.Context, after string, limit int) (rows []T, next string, err error)

// write answers with one page, or at an alias with all of it.
func (l list[T]) write(c *call) error {
	limit, err := c.number("limit")
	if err != nil {
		return err
	}
	if c.alias {
		return l.writeAll(c, int(limit))
	}
	switch {
	case c.r.URL.Query().Has("limit") && limit == 0, limit > pageMost:
		return wrong(codeParameter, "limit", "the parameter limit must be from 1 to %d", pageMost)
	case limit == 0:
		limit = pageDefault
	}
	rows, next, err := l(c.r.Context(), c.parameter("after"), int(limit))
	if err != nil {
		return err
	}
	if rows == nil {
		rows = []T{}
	}
	if next != "" {
		c.next(next)
	}
	return c.write(http.StatusOK, rows)
}

// writeAll answers with the whole list, or its first limit rows.
func (l list[T]) writeAll(c *call, limit int) error {
	all := func(yield func(any, error) bool) {
		after := c.parameter("after")
		for left := limit; ; {
			most := pageMost
			if limit > 0 {
				most = min(left, pageMost)
			}
			rows, next, err := l(c.r.Context(), after, most)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			left -= len(rows)
			if next == "" || limit > 0 && left <= 0 {
				return
			}
			after = next
		}
	}
	return stream(c, all)
}

// stream answers with an array as its elements come, or at an alias that has lines with one
// element a line. An error before the first is a problem; after it the connection is cut: a
// short answer must not look whole.
func stream(c *call, rows iter.Seq2[any, error]) error {
	open, between, end := "[", ",", "]\n"
	kind := "application/json"
	if c.alias && c.lines {
		open, between, end, kind = "", "", "", "application/x-ndjson"
	}
	enc, began := json.NewEncoder(c.w), false
	begin := func() {
		text := between
		if !began {
			began, text = true, open
			c.w.Header().Set("Content-Type", kind)
		}
		_, _ = c.w.Write([]byte(text)) // the reader is gone: the context of the request ends the list
	}
	for row, err := range rows {
		if err != nil && began {
			panic(http.ErrAbortHandler)
		}
		if err != nil {
			return err
		}
		begin()
		_ = enc.Encode(row) // likewise
	}
	if !began {
		begin()
	}
	_, _ = c.w.Write([]byte(end)) // likewise
	return nil
}

// paged returns a list of which all rows are in memory, from the place that key gives a
// row: rows are in the order of their keys.
func paged[T any](read func(context.Context) ([]T, error), key func(T) string) list[T] {
	return func(ctx context.Context, after string, limit int) ([]T, string, error) {
		all, err := read(ctx)
		if err != nil {
			return nil, "", err
		}
		begin := 0
		for after != "" && begin < len(all) && key(all[begin]) <= after {
			begin++
		}
		rows := all[begin:]
		if len(rows) <= limit {
			return rows, "", nil
		}
		return rows[:limit], key(rows[limit-1]), nil
	}
}
