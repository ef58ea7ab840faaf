// The rows for Go: peer ROW [key=value ...], printing key=value lines as the bench program does.
// Each row does the exact work of the file of its name in perf/bench.
//
// The form is that of Effective Go and of the standard library's own benchmarks: a goroutine for each task,
// a sync.WaitGroup to wait for several, channels for what has a result, sync.Mutex, time.AfterFunc and Stop;
// net with a goroutine for each connection. Built by a plain `go build`; the collector runs as it comes.
// Where there are two ways the faster one was taken, and the row says so. go.mod asks for Go 1.19, which
// Debian 12 has: what later versions changed with that line (the channels of timers, loop variables) is used
// by no row, but for net's sockets, which stay TCP and do not become MPTCP.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var rows = map[string]func(){
	"yield": yield, "spawn": spawn, "timers": timers, "idle": idle, "echo": echo, "serve": serve,
	"cpu": cpu, "mixed": mixed, "stuck": stuck, "fib": fib, "skynet": skynet,
	"pingpong": pingpong, "pingpong-cross": pingpongCross, "mpmc": mpmc, "mutex": mutex, "file": file, "http": serveHTTP,
}

func argument(key string) (string, bool) {
	for _, arg := range os.Args[2:] {
		if strings.HasPrefix(arg, key+"=") {
			return arg[len(key)+1:], true
		}
	}
	return "", false
}

func number(key string, fallback int) int {
	text, ok := argument(key)
	if !ok {
		return fallback
	}
	value, err := strconv.Atoi(text)
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func out(key string, value float64) {
	fmt.Printf("%s=%.3f\n", key, value)
}

func seconds(t syscall.Timeval) float64 {
	return float64(t.Sec) + float64(t.Usec)/1e6
}

func cpuTime() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return seconds(usage.Utime) + seconds(usage.Stime)
}

func outSamples(name string, samples []time.Duration) {
	sort.Slice(samples, func(i, j int) bool { return samples[i] < samples[j] })
	at := func(perMille int) float64 {
		return float64(samples[(len(samples)*perMille+999)/1000-1].Nanoseconds()) / 1e3
	}
	if len(samples) > 0 {
		out(name+"_p50_us", at(500))
		out(name+"_p99_us", at(990))
		out(name+"_p999_us", at(999))
		out(name+"_max_us", at(1000))
	}
	out(name+"_samples", float64(len(samples)))
}

// The work kernel of perf/bench/work.c.
//
//go:noinline
func work(seed uint64, iterations int) uint64 {
	x := seed | 1
	for i := 0; i < iterations; i++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

func main() {
	if len(os.Args) < 2 || rows[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: peer ROW [key=value ...]")
		os.Exit(2)
	}
	runtime.GOMAXPROCS(number("workers", 2))
	rows[os.Args[1]]()
}
