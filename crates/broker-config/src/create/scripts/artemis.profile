# The environment of bin/artemis and bin/artemis-service.

# The broker's program, unless the environment names another.
TANDEM_BROKER=${TANDEM_BROKER:-@TANDEM_BROKER@}

# What is logged: error, warn, info, debug or trace, also for a part alone: info,tandem_broker=debug
#export TANDEM_LOG=info
# One JSON object for each line:
#export TANDEM_LOG_FORMAT=json
