package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
)

func expect(ok bool, what string) {
	if !ok {
		fmt.Fprintln(os.Stderr, "peer:", what)
		os.Exit(1)
	}
}

// A WaitGroup tells of the end: it is faster here than a channel for each.
func fibOf(n int) int {
	if n < 2 {
		return n
	}
	var first int
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		first = fibOf(n - 1)
		done.Done()
	}()
	second := fibOf(n - 2)
	done.Wait()
	return first + second
}

func fib() {
	n, a, b := number("n", 30), 0, 1
	for i := 0; i < n; i++ {
		a, b = b, a+b
	}
	result := 0
	perOp(float64(b-1), func() { result = fibOf(n) })
	expect(result == a, "fib is wrong")
}

func skynetNode(up chan<- int, number, leaves, capacity int) {
	sum := number
	if leaves > 1 {
		sum = 0
		results := make(chan int, capacity)
		for i := 0; i < 10; i++ {
			go skynetNode(results, number+i*(leaves/10), leaves/10, capacity)
		}
		for i := 0; i < 10; i++ {
			sum += <-results
		}
	}
	up <- sum
}

func skynet() {
	leaves, capacity, sum := number("leaves", 1000000), number("capacity", 0), 0
	perOp(float64(leaves), func() {
		result := make(chan int, capacity)
		go skynetNode(result, 0, leaves, capacity)
		sum = <-result
	})
	expect(sum == leaves*(leaves-1)/2, "the sum is wrong")
}

func pingpong() {
	runtime.GOMAXPROCS(number("workers", 1))
	trips, ball := number("trips", 1000000), 0
	to, fro := make(chan int), make(chan int)
	go func() {
		for ball := range to {
			fro <- ball + 1
		}
	}()
	perOp(float64(trips), func() {
		for i := 0; i < trips; i++ {
			to <- ball
			ball = <-fro
		}
	})
	close(to)
	expect(ball == trips, "trips are missing")
}

// Both goroutines locked to threads of their own: what a program does whose libraries need their threads
// (cgo, GUIs), and the one way here of keeping two goroutines apart.
func pingpongCross() {
	trips, ball := number("trips", 100000), 0
	to, fro := make(chan int), make(chan int)
	var done sync.WaitGroup
	done.Add(2)
	go func() {
		runtime.LockOSThread()
		for ball := range to {
			fro <- ball + 1
		}
		done.Done()
	}()
	go func() {
		runtime.LockOSThread()
		perOp(float64(trips), func() {
			for i := 0; i < trips; i++ {
				to <- ball
				ball = <-fro
			}
		})
		close(to)
		done.Done()
	}()
	done.Wait()
	expect(ball == trips, "trips are missing")
}

func mpmc() {
	words, senders, receivers := number("words", 1000000), number("senders", 4), number("receivers", 4)
	channel := make(chan int, number("capacity", 0))
	sums, counts := make([]int, receivers), make([]int, receivers)
	perOp(float64(words), func() {
		var sending, receiving sync.WaitGroup
		sending.Add(senders)
		receiving.Add(receivers)
		for s := 0; s < senders; s++ {
			go func(s int) {
				for word := s; word < words; word += senders {
					channel <- word
				}
				sending.Done()
			}(s)
		}
		for r := 0; r < receivers; r++ {
			go func(r int) {
				sum, count := 0, 0
				for word := range channel {
					sum += word
					count++
				}
				sums[r], counts[r] = sum, count
				receiving.Done()
			}(r)
		}
		sending.Wait()
		close(channel)
		receiving.Wait()
	})
	sum, count := 0, 0
	for r := range sums {
		sum += sums[r]
		count += counts[r]
	}
	expect(count == words && sum == words*(words-1)/2, "words got lost")
}

func mutex() {
	tasks, rounds := number("tasks", 64), number("rounds", 20000)
	inside, outside := number("inside", 32), number("outside", 32)
	var lock sync.Mutex
	var mixed uint64
	count := 0
	perOp(float64(tasks*rounds), func() {
		together(tasks, func() {
			own := uint64(1)
			for i := 0; i < rounds; i++ {
				lock.Lock()
				mixed = work(mixed, inside)
				count++
				lock.Unlock()
				own = work(own, outside)
			}
			expect(own != 0, "work")
		})
	})
	expect(count == tasks*rounds, "two were inside at a time")
}
