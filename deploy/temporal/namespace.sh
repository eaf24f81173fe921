#!/bin/sh
# Makes the namespace and the search attributes the workflows use. Safe to run again.
set -eu

until temporal operator cluster health >/dev/null 2>&1; do
    sleep 1
done

if ! temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 72h
fi

# A new namespace takes a moment to reach every part of the server, so this is tried for a while.
known() {
    temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE" | grep -q "$1 "
}
attribute() {
    tries=0
    until known "$1" || temporal operator search-attribute create \
        --namespace "$TEMPORAL_NAMESPACE" --name "$1" --type "$2"; do
        tries=$((tries + 1))
        [ "$tries" -lt 30 ] || exit 1
        sleep 1
    done
}
attribute TidemarkStatus Keyword
attribute TidemarkAccounts KeywordList
attribute TidemarkUser Keyword
attribute TidemarkKind Keyword
