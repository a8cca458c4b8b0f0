# One node at its host: sh -s -- start|stop NAME COMMAND...
# Says on stdout what it did and the node's pid; on stderr, with exit 1, why it could not.
# Which process is ours is written down where it runs, so that any orchestrator can end it.
set -eu
umask 077
doing=$1 name=$2
shift 2
folder=${XDG_STATE_HOME:-$HOME/.local/state}/splitbed
record=$folder/$name.pid log=$folder/$name.log
up_s=30 down_s=40  # a node finishes the frames in flight, by default for up to 30 s
mkdir -p "$folder"
exec 9>"$record.lock"
flock 9

life() {  # life PID: the boot and the tick that it began in (proc(5)); nothing once it has ended
    stat=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) || return 0
    # shellcheck disable=SC2086  a list of fields; the first two are gone
    set -- $stat
    [ "$1" = Z ] || echo "$(cat /proc/sys/kernel/random/boot_id) ${20}"
}

pid='' began=''
[ ! -s "$record" ] || read -r pid began <"$record"

running() { [ -n "$began" ] && [ "$(life "$pid")" = "$began" ]; }

answers() { "$@" --check >/dev/null 2>&1 </dev/null 9>&-; }

last_word() { sed '/^[[:space:]]*$/d' "$log" 2>/dev/null | tail -n 1; }

start() {
    did=running
    if ! running; then
        if answers "$@"; then
            echo foreign 0
            return
        fi
        did=started
        # no session that ends, no terminal that closes ends the node
        setsid nohup "$@" >"$log" 2>&1 </dev/null 9>&- &
        pid=$! began=$(life $!)
        echo "$pid $began" >"$record"
    fi
    end=$(($(date +%s) + up_s))
    while running; do
        if answers "$@"; then
            echo "$did $pid"
            return
        fi
        [ "$(date +%s)" -lt "$end" ] || break
        sleep 0.1
    done
    echo "$(running && echo "did not answer within $up_s s" || echo died): $(last_word)" >&2
    [ "$did" = running ] || ! running || kill -TERM "$pid"
    exit 1
}

stop() {
    if ! running; then
        echo stopped 0
        return
    fi
    kill -TERM "$pid"
    end=$(($(date +%s) + down_s))
    while running; do
        if [ "$(date +%s)" -ge "$end" ]; then
            echo "was asked to end, and is still at it after $down_s s (pid $pid)" >&2
            exit 1
        fi
        sleep 0.1
    done
    rm "$record"
    echo "ended $pid"
}

"$doing" "$@"
