package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// process is the server as the harness sees it: one address after the other.
type process struct {
	folder string
	client *http.Client

	front, control atomic.Value // string
	offset         atomic.Int64 // of its clock

	mu   sync.Mutex
	cmd  *exec.Cmd
	said bytes.Buffer // what it said on its standard error, to its end
}

func newProcess(folder string) *process {
	return &process{folder: folder, client: &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{MaxIdleConnsPerHost: 256},
	}}
}

// start starts the server, which makes its connections if there are to be any.
func (p *process) start(ctx context.Context, connections int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p.said.Reset()
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), self, "-folder", p.folder, "-connections", fmt.Sprint(connections), //nolint:gosec // itself
		"-offset", time.Duration(p.offset.Load()).String())
	p.cmd.Env = append(os.Environ(), childEnv+"=1")
	p.cmd.Stderr = &p.said
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	front, control, ok := strings.Cut(strings.TrimSpace(line), " ")
	if err != nil || !ok {
		_ = p.cmd.Wait()
		return fmt.Errorf("the server did not start: %q, %s", line, tail(p.said.String()))
	}
	p.front.Store("http://" + front)
	p.control.Store("http://" + control)
	return nil
}

func tail(text string) string { return text[max(0, len(text)-2000):] }

// kill ends the server at once, and stop asks it to end.
func (p *process) kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.cmd.Process.Kill(); err != nil {
		return err
	}
	_ = p.cmd.Wait() // it was killed
	if text := p.said.String(); strings.Contains(text, "fatal error") || strings.Contains(text, "panic:") {
		return fmt.Errorf("the server ended by itself: %s", tail(text))
	}
	return nil
}

func (p *process) stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			err = fmt.Errorf("the server ended with %w: %s", err, tail(p.said.String()))
		}
		return err
	case <-time.After(time.Minute):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // it says where it is
		<-done
		return fmt.Errorf("the server did not end: %s", tail(p.said.String()))
	}
}

// ask calls the control address.
func (p *process) ask(ctx context.Context, method, path string, query url.Values, into any) error {
	base, _ := p.control.Load().(string)
	req, err := http.NewRequestWithContext(ctx, method, base+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %d %s", path, resp.StatusCode, body)
	case into == nil:
		return nil
	}
	return json.Unmarshal(body, into)
}

// setClock moves the clock of the server away from that of the machine.
func (p *process) setClock(ctx context.Context, offset time.Duration) error {
	p.offset.Store(int64(offset))
	return p.ask(ctx, http.MethodPost, "/clock", url.Values{"offset": {offset.String()}}, nil)
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send sends a SCIM request of the i-th connection.
func (p *process) send(ctx context.Context, i int, method, path, body string) (answer, error) {
	return p.exchange(ctx, i, method, path, body, io.ReadAll)
}

// exchange is send with what becomes of the body of the answer.
func (p *process) exchange(ctx context.Context, i int, method, path, body string, read func(io.Reader) ([]byte, error)) (answer, error) {
	base, _ := p.front.Load().(string)
	req, err := http.NewRequestWithContext(ctx, method, base+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token(i))
	req.Header.Set("Content-Type", "application/scim+json")
	resp, err := p.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	a := answer{resp.StatusCode, resp.Header, nil}
	a.body, err = read(resp.Body)
	return a, err
}
