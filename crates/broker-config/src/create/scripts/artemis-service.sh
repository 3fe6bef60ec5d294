#!/bin/sh
# Runs the broker of this instance in the background: start, stop, force-stop, restart, status.
# Its process id is in data/artemis.pid, its output in log/artemis.log.

# Longest wait for the broker to stop by itself, in seconds.
STOP_SECONDS=30

script=$0
if [ -h "$script" ]; then
    script=$(readlink -f -- "$script") || exit 1
fi
ARTEMIS_INSTANCE=${ARTEMIS_INSTANCE:-$(CDPATH='' cd -- "$(dirname -- "$script")/.." && pwd -P)} || exit 1
export ARTEMIS_INSTANCE
PID_FILE=$ARTEMIS_INSTANCE/data/artemis.pid

# Prints the broker's process id, if it runs.
running() {
    [ -s "$PID_FILE" ] || return 1
    read -r pid <"$PID_FILE" || return 1
    case $pid in '' | *[!0-9]*) return 1 ;; esac
    kill -0 "$pid" 2>/dev/null || return 1
    echo "$pid"
}

start() {
    if pid=$(running); then
        echo "artemis-service is already running ($pid)"
        return 1
    fi
    mkdir -p "$ARTEMIS_INSTANCE/data" "$ARTEMIS_INSTANCE/log" || return 1
    echo "Starting artemis-service"
    nohup "$ARTEMIS_INSTANCE/bin/artemis" run >>"$ARTEMIS_INSTANCE/log/artemis.log" 2>&1 </dev/null &
    echo $! >"$PID_FILE" || return 1
    # A broker that cannot start says why within this second.
    sleep 1
    if pid=$(running); then
        echo "artemis-service is now running ($pid)"
        return 0
    fi
    rm -f "$PID_FILE"
    echo "artemis-service did not start; see $ARTEMIS_INSTANCE/log/artemis.log" >&2
    return 1
}

# Sends a signal and waits until the broker has ended.
end() {
    if ! pid=$(running); then
        echo "artemis-service is not running"
        return 0
    fi
    kill "-$1" "$pid" || return 1
    left=$STOP_SECONDS
    while kill -0 "$pid" 2>/dev/null; do
        if [ "$left" -le 0 ]; then
            echo "artemis-service ($pid) did not stop within $STOP_SECONDS seconds; try force-stop" >&2
            return 1
        fi
        left=$((left - 1))
        sleep 1
    done
    rm -f "$PID_FILE"
    echo "artemis-service stopped"
}

case ${1:-} in
    start) start ;;
    stop) end TERM ;;
    force-stop) end KILL ;;
    restart) end TERM && start ;;
    status)
        if pid=$(running); then
            echo "artemis-service is running ($pid)"
        else
            echo "artemis-service is stopped"
            exit 3
        fi
        ;;
    *)
        echo "Usage: $0 start|stop|force-stop|restart|status" >&2
        exit 2
        ;;
esac
