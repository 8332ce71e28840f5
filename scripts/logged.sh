#!/bin/sh
# Runs a command, shows its output and keeps it in a file: logged.sh LOG COMMAND... The command's status is kept too, in
# LOG.status, and a failure does not end the run: the summary tells.
set -u

log=$1
shift
{ "$@" 2>&1; echo $? >"$log.status"; } | tee "$log"
