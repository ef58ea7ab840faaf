package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The sleeper and the client of perf/bench/probe.c.
type probe struct {
	late, trip []time.Duration
	stop       atomic.Bool
	warmingUp  atomic.Bool
	done       sync.WaitGroup
}

func (p *probe) add(samples *[]time.Duration, sample time.Duration) {
	if !p.warmingUp.Load() {
		*samples = append(*samples, sample)
	}
}

func (p *probe) start() {
	p.stop.Store(false)
	p.done.Add(2)
	go func() {
		defer p.done.Done()
		for !p.stop.Load() {
			until := time.Now().Add(time.Millisecond)
			time.Sleep(time.Millisecond)
			p.add(&p.late, time.Since(until))
		}
	}()
	go func() {
		defer p.done.Done()
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", number("echo", 0)))
		check(err)
		defer conn.Close()
		message := make([]byte, messageSize)
		for !p.stop.Load() {
			begin := time.Now()
			_, err := conn.Write(message)
			check(err)
			_, err = io.ReadFull(conn, message)
			check(err)
			p.add(&p.trip, time.Since(begin))
			time.Sleep(time.Millisecond)
		}
	}()
}

func (p *probe) end() {
	p.stop.Store(true)
	p.done.Wait()
}

func (p *probe) report() {
	outSamples("lateness", p.late)
	outSamples("trip", p.trip)
	out("threads", float64(proc("/proc/self/status", "Threads:")))
}

func mixed() {
	const pieces = 20
	var p probe
	var done atomic.Int64
	var stop atomic.Bool
	var hogs sync.WaitGroup
	burst := number("burst_iters", 20000000)
	for i := 0; i < number("hogs", 4); i++ {
		hogs.Add(1)
		go func() {
			x := uint64(1)
			for !stop.Load() {
				for i := 0; i < pieces; i++ {
					x = work(x, burst/pieces)
					done.Add(1)
				}
				runtime.Gosched()
			}
			hogs.Done()
		}()
	}
	var took [2]time.Duration
	var count [2]int64
	begin, used := time.Now(), cpuTime()
	for i := 0; i < number("stretches", 4); i++ {
		if i%2 == 1 {
			p.start()
		}
		from, before := time.Now(), done.Load()
		time.Sleep(time.Duration(number("stretch_ms", 2000)) * time.Millisecond)
		count[i%2] += done.Load() - before
		took[i%2] += time.Since(from)
		if i%2 == 1 {
			p.end()
		}
	}
	out("cpu", (cpuTime()-used)/time.Since(begin).Seconds())
	stop.Store(true)
	hogs.Wait()
	alone, beside := float64(count[0])/took[0].Seconds(), float64(count[1])/took[1].Seconds()
	out("hog_bursts_per_s", beside/pieces)
	out("hogs_share", beside/alone)
	p.report()
}

func stuck() {
	var p probe
	var all sync.WaitGroup
	var ends [2]int
	check(syscall.Pipe(ends[:]))
	spin := time.Duration(number("spin_ms", 2000)) * time.Millisecond
	blocked := number("blocked", 2)
	p.warmingUp.Store(true)
	p.start()
	time.Sleep(200 * time.Millisecond)
	p.warmingUp.Store(false)
	begin := time.Now()
	go func() {
		runtime.LockOSThread()
		time.Sleep(spin)
		_, err := syscall.Write(ends[1], make([]byte, blocked))
		check(err)
	}()
	for i := 0; i < number("spinners", 2); i++ {
		all.Add(1)
		go func() {
			x := uint64(1)
			for until := time.Now().Add(spin); time.Now().Before(until); {
				x = work(x, 10000)
			}
			all.Done()
		}()
	}
	for i := 0; i < blocked; i++ {
		all.Add(1)
		go func() {
			if n, err := syscall.Read(ends[0], make([]byte, 1)); n != 1 {
				fmt.Fprintln(os.Stderr, "peer: read:", n, err)
				os.Exit(1)
			}
			all.Done()
		}()
	}
	all.Wait()
	p.end()
	out("stuck_s", time.Since(begin).Seconds())
	p.report()
}
