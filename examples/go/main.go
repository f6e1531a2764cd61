// SPDX-License-Identifier: MIT

// A Go server. In a worktree:
//
//	devmesh run -- go run .
//
// It listens on the Unix socket that DEVMESH_SOCKET names, or else on PORT.
package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func listen() (net.Listener, error) {
	path := os.Getenv("DEVMESH_SOCKET")
	if path == "" {
		return net.Listen("tcp", net.JoinHostPort("127.0.0.1", os.Getenv("PORT")))
	}
	// A file left by a server that was killed refuses connections, and goes.
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("%s: another server listens already", path)
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		os.Remove(path)
	}
	l, err := net.Listen("unix", path)
	if err == nil {
		// Caddy may run as another user: it has to write to the socket
		err = os.Chmod(path, 0o666)
	}
	return l, err
}

func main() {
	l, err := listen()
	if err != nil {
		log.Fatal(err)
	}
	dir, _ := os.Getwd()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s in %s\n", r.URL.Path, dir)
	})}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		server.Close() // removes the socket
	}()
	log.Printf("listening on %s", l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}
