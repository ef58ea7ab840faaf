package main

import (
	"fmt"
	"net"
	"net/http"
	"runtime"
)

// The standard library's server and its router, as its documentation shows them: a handler that sets the
// type and writes the body. The server adds Content-Length and Date, and keeps connections.
func serveHTTP() {
	runtime.GOMAXPROCS(number("workers", 2))
	body := []byte("Hello, World!")
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write(body)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Printf("listening on %s\n", listener.Addr())
	check(http.Serve(listener, mux))
}
