package main

import (
	"encoding/binary"
	"os"
	"runtime"
	"sync"
	"syscall"
	"unsafe"
)

const block = 4096

// A file whose blocks begin with their numbers; it has no name any more.
func makeFile(blocks int, direct bool) *os.File {
	dir, ok := argument("dir")
	if !ok {
		dir = "/var/tmp"
	}
	made, err := os.CreateTemp(dir, "bench-file-")
	check(err)
	data := make([]byte, block)
	for i := 0; i < blocks; i++ {
		binary.LittleEndian.PutUint64(data, uint64(i))
		_, err = made.Write(data)
		check(err)
	}
	check(made.Sync())
	flags := os.O_RDONLY
	if direct {
		flags |= syscall.O_DIRECT
	}
	opened, err := os.OpenFile(made.Name(), flags, 0)
	check(err)
	check(os.Remove(made.Name()))
	check(made.Close())
	return opened
}

func aligned() []byte {
	data := make([]byte, 2*block)
	skip := block - int(uintptr(unsafe.Pointer(&data[0]))%block)
	return data[skip%block : skip%block+block]
}

func file() {
	runtime.GOMAXPROCS(number("workers", 2))
	variant, _ := argument("variant")
	direct := variant == "direct"
	fallback := 400000
	if direct {
		fallback = 60000
	}
	tasks, reads := number("tasks", 128), number("reads", fallback)
	blocks := number("mib", 256) * (1024 * 1024 / block)
	from := makeFile(blocks, direct)
	each := reads / tasks
	var mutex sync.Mutex
	seeds := uint64(0)
	perOp(float64(each*tasks), func() {
		together(tasks, func() {
			mutex.Lock()
			seeds++
			random := seeds * 0x9e3779b97f4a7c15
			mutex.Unlock()
			data := aligned()
			for i := 0; i < each; i++ {
				random = random*6364136223846793005 + 1442695040888963407
				at := (random >> 33) % uint64(blocks)
				_, err := from.ReadAt(data, int64(at)*block)
				check(err)
				expect(binary.LittleEndian.Uint64(data) == at, "block")
			}
		})
	})
}
