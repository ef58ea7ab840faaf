#!/bin/sh
# PIRN_MUST_USE is on every public call that returns an int or a ssize_t, but for those named here, which are of the
# kinds that the comment beside the macro leaves out. Who adds a call decides which it is.
set -eu
cd "$SOURCE_DIR/api/include"

unmarked=$(
    grep '^pirn_' <<'END' | tr ' ' '\n' | sort
# ends, undoes, takes back, gives back: when it fails there was nothing to do
pirn_close pirn_detach pirn_release pirn_cancel pirn_uncancel pirn_timer_cancel pirn_shield_leave
pirn_remove_done_callback pirn_undefer pirn_defer_end pirn_unlinkat
pirn_channel_close pirn_broadcast_close pirn_watch_close pirn_queue_shutdown pirn_generator_close
pirn_thread_pool_close pirn_process_pool_close pirn_mailbox_close pirn_signal_remove
pirn_stream_end pirn_stream_close pirn_stream_abort
pirn_server_close pirn_server_stop pirn_http_server_close pirn_http_server_stop pirn_process_stop
pirn_runtime_stop pirn_runtime_close pirn_runtime_free
pirn_mutex_unlock pirn_rwlock_read_unlock pirn_rwlock_write_unlock pirn_semaphore_release
pirn_barrier_abort pirn_barrier_reset
# tells others, and goes on whether they hear it or not
pirn_start pirn_future_set pirn_future_set_owned pirn_event_set pirn_event_clear
pirn_condition_notify pirn_condition_notify_all pirn_wait_group_add pirn_wait_group_done
pirn_queue_task_done pirn_scope_cancel pirn_scope_fail pirn_broadcast_send pirn_watch_set
pirn_process_signal pirn_process_signal_group pirn_process_terminate pirn_process_kill
pirn_print pirn_dump pirn_set_name pirn_mailbox_dispatch
# is told of again: by the next drain, by the next call that waits
pirn_stream_write pirn_stream_writev pirn_stream_printf pirn_timeout_reschedule
# pauses
pirn_yield pirn_sleep pirn_sleep_on pirn_ticker_wait
# asks: the answer is all there is to it
pirn_cancelling pirn_status pirn_generator_status pirn_http_response_status pirn_queue_empty pirn_queue_full
pirn_runtime_is_running pirn_runtime_is_closed pirn_on_worker pirn_mailbox_fd pirn_stream_fd
pirn_local_port pirn_server_port pirn_server_connections pirn_http_server_port pirn_http_server_connections
pirn_semaphore_value pirn_barrier_parties pirn_barrier_n_waiting pirn_wait_group_count
pirn_name pirn_address_text pirn_tls_peer pirn_tls_error
# fails by a mistake of the caller's alone, or could only have made something faster
pirn_mutex_init pirn_rwlock_init pirn_condition_init pirn_event_init pirn_semaphore_init
pirn_semaphore_init_bounded pirn_barrier_init pirn_once_init pirn_wait_group_init pirn_ticker_init
pirn_shield_enter pirn_stream_consume pirn_watch_get pirn_stats_get
pirn_set_nodelay pirn_set_keepalive
END
)
declared=$(cat pirn.h pirn/*.h | tr -s ' \n' '  ' |
    grep -oE 'PIRN_API (PIRN_MUST_USE )?(int|ssize_t) pirn_[a-z_0-9]+\(' | tr -d '(')
[ "$(echo "$declared" | wc -l)" -gt 200 ]
not_marked=$(echo "$declared" | grep -v PIRN_MUST_USE | sed 's/.* //' | sort)
bad=0
for name in $(printf '%s\n%s\n' "$unmarked" "$not_marked" | sort | uniq -u); do
    if echo "$not_marked" | grep -qx "$name"; then
        echo "$name is not PIRN_MUST_USE: mark it, or say of which kind it is"
    else
        echo "$name is named here, and is PIRN_MUST_USE, or none"
    fi
    bad=1
done
exit $bad
