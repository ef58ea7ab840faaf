package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

const messageSize = 64

func listen(serveOne func(net.Conn)) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Printf("listening on %s\n", listener.Addr())
	for {
		conn, err := listener.Accept()
		check(err)
		go func() {
			serveOne(conn)
			conn.Close()
		}()
	}
}

func echo() {
	listen(func(conn net.Conn) {
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			if _, err = conn.Write(buf[:n]); err != nil {
				return
			}
		}
	})
}

func serve() {
	listen(func(conn net.Conn) {
		message := make([]byte, messageSize)
		x := uint64(1)
		for {
			if _, err := io.ReadFull(conn, message); err != nil {
				return
			}
			x = work(x, int(binary.LittleEndian.Uint32(message)))
			message[5] = byte(x)
			if _, err := conn.Write(message); err != nil {
				return
			}
		}
	})
}
