#!/bin/sh
# Runs the broker of this instance: `artemis run`. Other commands go to the broker's program as
# they are. The program takes the place of this script, so its process id is the broker's.

# The instance is the folder this script is in, whatever the working directory is, unless
# ARTEMIS_INSTANCE names another.
if [ -z "${ARTEMIS_INSTANCE:-}" ]; then
    script=$0
    if [ -h "$script" ]; then
        script=$(readlink -f -- "$script") || exit 1
    fi
    ARTEMIS_INSTANCE=$(CDPATH='' cd -- "$(dirname -- "$script")/.." && pwd -P) || exit 1
fi
export ARTEMIS_INSTANCE

if [ -r "$ARTEMIS_INSTANCE/etc/artemis.profile" ]; then
    . "$ARTEMIS_INSTANCE/etc/artemis.profile"
fi

if ! command -v "${TANDEM_BROKER:=tandem-broker}" >/dev/null; then
    echo "$0: no program '$TANDEM_BROKER': set TANDEM_BROKER in $ARTEMIS_INSTANCE/etc/artemis.profile" >&2
    exit 127
fi

if [ "${1:-}" = run ]; then
    shift
    exec "$TANDEM_BROKER" run --instance "$ARTEMIS_INSTANCE" "$@"
fi
exec "$TANDEM_BROKER" "$@"
